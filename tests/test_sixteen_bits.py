"""Draws with logits of sixteen bits in a program that computes with more: nothing of it is rounded to sixteen."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweeps import some_thorough

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")
STATES = tuple(
    jnp.asarray(part)
    for part in zip(*(((a, b), z) for a, b, z in itertools.product((0, 1), (0, 1), range(3))), strict=True)
)
SHORT = jnp.bfloat16, jnp.float16


def remainder(gates, z):
    """Whole numbers beyond those of 8 and 11 bits."""
    first, second = gates.astype(jnp.int32)
    return ((z * 3001 + first * 877 + second) % 5).astype(jnp.float32)


def parity(gates, z):
    first, second = gates.astype(jnp.int32)
    return ((2048 * first + 300 * z + second) % 2).astype(jnp.float32)


def profit(gates, z):
    """Floats beyond those of float16."""
    return jnp.maximum(jnp.sum(gates.astype(jnp.float32) * 80_000.0) / 1000.0 - 50.0, z.astype(jnp.float32) * 3.0)


def sums_and_back(gates, z):
    return (jnp.sum(gates.astype(jnp.float32) * 1e5) + z.astype(jnp.float32) * 7e4) / 1e5


def product(gates, z):
    first, second = gates.astype(jnp.float32)
    return first * second * 2e5 + z.astype(jnp.float32) * 1e5


def small_beside_large(gates, z):
    first, second = gates.astype(jnp.float32)
    return jnp.sin(1000.0 + 0.1 * first + 0.3 * second + z.astype(jnp.float32))


LOSSES = remainder, parity, profit, sums_and_back, product, small_beside_large


def logits(dtype):
    return jnp.asarray([0.25, -0.5], dtype), jnp.asarray([0.25, -0.25, 0.5], dtype)


def drawing(loss):
    def function(logits, key, given=(None, None)):
        first, second = jax.random.split(key)
        gates = hnca.bernoulli(first, logits[0], given=given[0])
        return loss(gates, hnca.categorical(second, logits[1], given=given[1]))

    return function


def chance(logits, gates, z):
    """Of a state, in 32 bits; nothing of it is the library's."""
    on, which = jax.nn.sigmoid(logits[0]), jax.nn.softmax(logits[1])
    return jnp.prod(jnp.where(gates > 0, on, 1 - on)) * which[z]


@pytest.mark.parametrize("dtype", SHORT, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("estimator", [hnca.HNCA(), hnca.REINFORCE()], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("loss", some_thorough(LOSSES, [sums_and_back, parity]))
@pytest.mark.sweep
def test_the_gradient_is_that_of_32_bits(loss, estimator, dtype):
    wide = logits(jnp.float32)

    def at(gates, z):
        given, short = (gates.astype(dtype), z), logits(dtype)
        value, gradient = hnca.value_and_grad(drawing(loss), estimator=estimator)(short, jax.random.key(0), given)
        return value, jax.tree.map(lambda leaf: chance(wide, gates, z) * leaf.astype(jnp.float32), gradient)

    values, each = jax.jit(jax.vmap(at))(*STATES)
    assert values.dtype == jnp.float32
    truth = jax.vmap(loss)(*STATES)
    np.testing.assert_allclose(values, truth, rtol=1e-6)

    def mean(logits):
        return jnp.sum(jax.vmap(chance, in_axes=(None, 0, 0))(logits, *STATES) * truth)

    exact = jax.grad(mean)(wide)
    largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in exact)
    if loss is product and dtype is jnp.float16 and isinstance(estimator, hnca.REINFORCE):
        return  # a gradient of 2e5 is beyond float16, whoever computes it
    for found, leaf in zip(each, exact, strict=True):
        np.testing.assert_allclose(jnp.sum(found, axis=0), leaf, atol=0.02 * largest)


@pytest.mark.parametrize("dtype", some_thorough(SHORT, SHORT[1:]), ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("loss", [remainder, small_beside_large])
@pytest.mark.sweep
def test_a_loop_that_stays_one_is_as_exact(loss, dtype):
    def function(logits, key):
        def step(total, key):
            return total + drawing(loss)(logits, key), None

        return jax.lax.scan(step, jnp.zeros((), jnp.float32), jax.random.split(key, 2))[0]

    hnca.check_unbiased(function, (logits(dtype), jax.random.key(0)), unroll=False, tolerance=0.03)


@pytest.mark.parametrize("dtype", some_thorough(SHORT, SHORT[1:]), ids=lambda dtype: np.dtype(dtype).name)
def test_a_bias_is_seen_in_sixteen_bits(dtype):
    arguments = logits(dtype), jax.random.key(0)
    assert hnca.check_unbiased(drawing(remainder), arguments).error < 0.03
    with pytest.raises(ValueError, match=r"StraightThrough's expected gradient is off by 0\.\d+ .* at most 0\.0"):
        hnca.check_unbiased(
            lambda p, key: jnp.sum(hnca.bernoulli(key, p[0]) * jnp.asarray([1, -0.4], dtype)) ** 2,
            arguments,
            estimator=hnca.StraightThrough(),
        )


def of_two_layers(first, second):
    """Two units above two others, the loss far from 0 and in 32 bits."""
    return 1000.0 + first.astype(jnp.float32) @ jnp.asarray([0.3, 0.7]) + (second[0] * first[0]).astype(jnp.float32)


@pytest.mark.parametrize("dtype", some_thorough(SHORT, SHORT[1:]), ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize(
    "estimator",
    [hnca.HNCA(), hnca.HNCA(control=hnca.FirstOrder()), hnca.REINFORCE(), hnca.MuProp(), hnca.Exact()],
    ids=["HNCA", "HNCA, first order", "REINFORCE", "MuProp", "Exact"],
)
def test_credits_of_a_described_network_are_those_of_32_bits(estimator, dtype):
    above, below = hnca.Free(2), hnca.Dense(("above",), (2,), 2, key=jax.random.key(1))
    wide = hnca.Network({"above": hnca.Bernoulli(above), "below": hnca.Bernoulli(below)})
    short = jax.tree.map(lambda leaf: leaf.astype(dtype), wide)
    objective = hnca.Function(of_two_layers, of=("above", "below"))
    states = jnp.asarray(list(itertools.product((0, 1), repeat=4)), dtype)

    def at(state):
        trace = short.evaluate({"above": state[:2], "below": state[2:]}, ())
        found = estimator(short, objective, trace)
        assert found.value.dtype == jnp.float32
        chances = (short.layers[name].log_prob(trace.logits[name], trace[name]) for name in ("above", "below"))
        chance = jnp.exp(sum(jnp.sum(each.astype(jnp.float32)) for each in chances))
        credit = found.credits["above"]
        return chance * (credit if credit.ndim == 1 else jnp.mean(credit, axis=0))  # of passes over all states

    found = jnp.sum(jax.jit(jax.vmap(at))(states), axis=0)

    def mean(logits):
        (weight,), bias = short.layers["below"].conditional.weights, short.layers["below"].conditional.bias

        def of_state(state):
            first, second = state[:2], state[2:]
            then = first @ weight.astype(jnp.float32) + bias.astype(jnp.float32)
            on = jax.nn.sigmoid(jnp.concatenate([logits, then]))
            return jnp.prod(jnp.where(state > 0, on, 1 - on)) * (of_two_layers(first, second) - 1000.0)

        return jnp.sum(jax.vmap(of_state)(states.astype(jnp.float32)))

    exact = jax.grad(mean)(short.layers["above"].conditional.bias.astype(jnp.float32))
    # Probabilities that are rounded do not add up to 1, and what is mediated is a share of a thousand.
    np.testing.assert_allclose(found, exact, atol=0.02 if isinstance(estimator, hnca.MuProp | hnca.Exact) else 1.0)


@pytest.mark.parametrize("dtype", some_thorough(SHORT, SHORT[1:]), ids=lambda dtype: np.dtype(dtype).name)
def test_the_variance_of_gradients_is_measured_in_32_bits(dtype):
    layers = hnca.Free(2), hnca.Dense(("above",), (2,), 2, key=jax.random.key(1))
    wide = hnca.Network(dict(zip(("above", "below"), map(hnca.Bernoulli, layers), strict=True)))
    found = {}
    for digits in (jnp.float32, dtype):
        network = jax.tree.map(lambda leaf, digits=digits: leaf.astype(digits), wide)
        states = jnp.asarray(list(itertools.product((0, 1), repeat=4)), digits)
        trace = network.evaluate({"above": states[:, :2], "below": states[:, 2:]}, (16,))
        objective = hnca.Objective(hnca.Function(of_two_layers, of=("above", "below")), hnca.Entropy(network, "below"))
        estimate = hnca.HNCA()(network, objective, trace)
        direct = hnca.direct_credits(network, objective, trace)
        credits = jax.tree.map(jnp.add, estimate.credits, direct)
        each = hnca.variance.gradient_variance(network, trace, credits)
        mean = hnca.variance.mean_gradient_variance(network, trace, credits, estimate.gradient)
        assert {leaf.dtype for leaf in jax.tree.leaves((each, mean, direct))} == {jnp.dtype("float32")}
        found[digits] = each["above"].bias
    np.testing.assert_allclose(found[dtype], found[jnp.float32], rtol=0.05)


@pytest.mark.parametrize("dtype", SHORT, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.sweep
def test_dtypes_are_not_mixed_where_promotion_is_strict(dtype):
    """A loss that bends what is linear in a draw and in the one before it, in the logits' own dtype and in 32 bits."""

    def loss(p, key, of_loss):
        first, second = jax.random.split(key)
        above = hnca.bernoulli(first, p["above"])
        below = hnca.bernoulli(second, p["weight"] @ above)
        return ((jnp.sum(below) - 3 * jnp.sum(above)).astype(of_loss)) ** 2

    weight = jnp.asarray([[0.1, 0.5, -0.2], [0.3, -0.1, 0.2], [0.2, 0.1, 0.1]], jnp.float32)
    p = {"above": jnp.asarray([0.1, -0.2, 0.3], jnp.float32), "weight": weight}
    for of_logits, of_loss in ((dtype, dtype), (dtype, jnp.float32), (jnp.float32, dtype)):
        arguments = jax.tree.map(lambda leaf, of_logits=of_logits: leaf.astype(of_logits), p), jax.random.key(0)
        found = hnca.check_unbiased(lambda p, key, of_loss=of_loss: loss(p, key, of_loss), arguments)
        assert found.error < 0.03
