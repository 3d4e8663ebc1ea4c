"""Messages and contrasts of several parents at once: what each would be by itself, and fewer equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweeps import some_thorough

import hnca
from hnca.messages import SmallSum, contrast_by_enumeration, contrasts_at_once

pytestmark = pytest.mark.usefixtures("quick_compilation")


def mixed():
    """A network of layers of several families, values and sizes, and a trace of two passes of three examples."""
    keys = jax.random.split(jax.random.key(0), 6)
    layers = {
        "a": hnca.Bernoulli(hnca.Free(1)),
        "b": hnca.Categorical(hnca.Free(6), 3),
        "c": hnca.Bernoulli(hnca.Free(2), (-1, 1)),
        "d": hnca.Bernoulli(hnca.Free(3)),
        "e": hnca.Categorical(hnca.Free(3), 3),
        "f": hnca.Categorical(hnca.Free(4), 4),
    }
    network = hnca.Network(layers)
    return network, network.sample(keys[0], {}, (2, 3))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("steps", some_thorough(["shared", "own", "dear"], ["shared", "own"]))
@pytest.mark.thorough
def test_each_contrast_is_what_it_is_by_itself(steps):
    """Of sums of all layers, of some and of one, and of 64 and 32 bits, evaluated together or apart."""
    network, trace = mixed()

    def small_sum(number, parents, dtype):
        sizes = {name: network.layers[name].features * 2 for name in parents}
        weights = {name: jnp.linspace(-1.0, 1.5 + number, size).reshape(-1, 2) for name, size in sizes.items()}

        def function(values):
            hidden = sum(network.features(values, name) @ weight for name, weight in weights.items())
            return jnp.sum(jnp.sin(hidden), axis=-1).astype(dtype)

        taken = {"shared": {"bend": 10}, "own": {number: 10}, "dear": {number: 2**14}}[steps]
        return SmallSum(function, parents, taken)

    of_each = [tuple(network.layers), ("f", "a", "c"), tuple(network.layers), ("d",), (), ("b", "e")]
    dtypes = jnp.float64, jnp.float64, jnp.float32, jnp.float32, jnp.float64, jnp.float64
    sums = [small_sum(n, parents, dtype) for n, (parents, dtype) in enumerate(zip(of_each, dtypes, strict=True))]
    for each, dtype, found in zip(sums, dtypes, contrasts_at_once(sums, network, trace), strict=True):
        assert tuple(found) == each.parents
        for name in each.parents:
            alone = contrast_by_enumeration(each.function, network, trace, name)
            assert found[name].shape == trace.logits[name].shape
            assert found[name].dtype == alone.dtype == dtype
            np.testing.assert_allclose(found[name], alone, rtol=1e-10, atol=1e-12)


@pytest.mark.thorough
def test_sums_are_evaluated_together_where_that_is_no_more_work():
    """Of sums of the same layers, or that share most of what they do; and not of those of other layers."""
    network, trace = mixed()

    def evaluations(*sums):
        """How often each sum is evaluated: once as it is, and then for all changes of those it is evaluated with."""
        rows = []

        def noted(total):
            rows.append(total.size // 6)
            return total

        def counted(parents, steps):
            def function(values):
                total = sum(jnp.sum(values[name].astype(float), -1) for name in parents)
                return jax.pure_callback(noted, total, total, vmap_method="expand_dims")

            return SmallSum(function, parents, steps)

        jax.block_until_ready(contrasts_at_once([counted(*each) for each in sums], network, trace))
        return sorted(rows)

    of_a, of_c, of_d = 1, 2, 3
    assert evaluations((("a",), {0: 5}), (("a",), {1: 5})) == [1, 1, of_a, of_a]
    assert evaluations((("a",), {0: 5}), (("c",), {1: 5})) == [1, 1, of_a, of_c]
    shared = {0: 50, 1: 50}
    assert evaluations((("a", "c"), shared), (("a", "c", "d"), {**shared, 2: 5})) == [1, 1, *2 * [of_a + of_c + of_d]]
    assert evaluations((("a",), {0: 5}), (("c",), {0: 5})) == [1, 1, *2 * [of_a + of_c]]
    # Too much to be held.
    assert evaluations((("a",), {0: 2**14}), (("c",), {0: 2**14})) == [1, 1, of_a, of_c]


def test_of_no_examples_there_is_nothing():
    network, _ = mixed()
    trace = network.sample(jax.random.key(1), {}, (0,))
    of_both = SmallSum(lambda values: jnp.sum(values["a"], -1), ("a", "b"), {})
    (found,) = contrasts_at_once([of_both], network, trace)
    assert [found[name].shape for name in ("a", "b")] == [trace.logits[name].shape for name in ("a", "b")]


def queue(steps):
    """A queue that each draw adds to: every step reads all draws before it, bent."""

    def loss(w, key):
        def step(length, key):
            came = hnca.bernoulli(key, w[0] * jnp.tanh(length) + w[1])
            length = jnp.maximum(length + came - 0.4, 0.0)
            return length, length**2

        return jnp.sum(jax.lax.scan(step, 0.5, jax.random.split(key, steps))[1])

    return loss


def equations(jaxpr):
    inner = [getattr(v, "jaxpr", v) for e in jaxpr.eqns for v in e.params.values()]
    return len(jaxpr.eqns) + sum(equations(v) for v in inner if hasattr(v, "eqns"))


@pytest.mark.usefixtures("float64")
def test_a_queue_is_credited_exactly():
    hnca.check_unbiased(queue(4), (jnp.array([0.3, 0.2]), jax.random.key(0)))


def test_a_queue_grows_by_less_than_the_square_of_its_length():
    arguments = jnp.array([0.3, 0.2]), jax.random.key(0)
    counts = {n: equations(jax.make_jaxpr(hnca.grad(queue(n)))(*arguments).jaxpr) for n in (4, 8)}
    assert counts[8] < 2.5 * counts[4], counts
    assert counts[8] < 5_500, counts


def of_three(p, key):
    return [hnca.bernoulli(each, p) for each in jax.random.split(key, 3)]


def unit_by_unit(p, key):
    a, b, c = of_three(p, key)
    return jnp.sum(jnp.exp(p * a * b * c))


def may_be_infinite(p, key):
    a, b, c = of_three(p[0], key)
    return jnp.log(3 - a - b) * c


def looked_up(p, key):
    first, second, third = jax.random.split(key, 3)
    a = hnca.categorical(first, p)
    b = hnca.categorical(second, p + p[a])
    return p[a] * jnp.cos(p[b] + hnca.bernoulli(third, p[a] - p[b]) * a.astype(p.dtype))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("program", [unit_by_unit, may_be_infinite, looked_up])
@pytest.mark.sweep
def test_a_small_term_may_be_found_draw_by_draw(program):
    hnca.check_unbiased(program, (jnp.asarray([0.3, -0.4, 0.7]), jax.random.key(0)))
