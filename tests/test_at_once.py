"""Messages and contrasts of several parents at once: what each would be by itself, and fewer equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca
from hnca.messages import contrast_by_enumeration, contrasts_at_once

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
def test_each_contrast_is_what_it_is_by_itself():
    network, trace = mixed()
    weights = {n: jnp.linspace(-1.0, 1.5, layer.features * 2).reshape(-1, 2) for n, layer in network.layers.items()}

    def function(values):
        hidden = sum(network.features(values, name) @ weight for name, weight in weights.items())
        return jnp.sum(jnp.sin(hidden), axis=-1)

    found = contrasts_at_once(function, network, trace, tuple(network.layers))
    assert set(found) == set(network.layers)
    for name in network.layers:
        alone = contrast_by_enumeration(function, network, trace, name)
        assert found[name].shape == trace.logits[name].shape
        np.testing.assert_allclose(found[name], alone, rtol=1e-10, atol=1e-12)


def test_of_no_examples_there_is_nothing():
    network, _ = mixed()
    trace = network.sample(jax.random.key(1), {}, (0,))
    found = contrasts_at_once(lambda values: jnp.sum(values["a"], -1), network, trace, ("a", "b"))
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


def test_a_queue_grows_with_the_square_of_its_length():
    arguments = jnp.array([0.3, 0.2]), jax.random.key(0)
    counts = {n: equations(jax.make_jaxpr(hnca.grad(queue(n)))(*arguments).jaxpr) for n in (4, 8)}
    assert counts[8] < 4 * counts[4], counts
    assert counts[8] < 10_500, counts
