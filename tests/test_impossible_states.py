"""What cannot be drawn has no part in a value or a gradient, also where it would be infinite or no number."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca
from hnca.estimators import Passes

pytestmark = pytest.mark.usefixtures("quick_compilation", "float64")
LOGITS = np.asarray([0.3, -0.6, 0.8])
STOCK = np.asarray([2.0, 3.0, -1.0])
EVERY_STATE = {"Exact": hnca.Exact(), "marginalise": hnca.HNCA(marginalise="which")}


def of_a_masked_choice(logits, key):
    which = hnca.categorical(key, jnp.where(STOCK > 0, logits, -jnp.inf), name="which")
    return jnp.log(jnp.asarray(STOCK)[which])


def of_what_a_choice_masks(logits, key):
    first, second = jax.random.split(key)
    which = hnca.categorical(first, logits, name="which")
    masked = logits + jnp.asarray([[0.0, 0.0, -jnp.inf], [-jnp.inf, 0.0, 0.0], [0.0, 0.0, 0.0]])[which]
    next_one = hnca.categorical(second, masked, name="next")
    return jnp.asarray(STOCK)[next_one] + 0.3 * hnca.log_prob(masked, next_one)


@pytest.mark.parametrize("estimator", EVERY_STATE)
@pytest.mark.sweep
def test_a_state_that_cannot_be_drawn_does_not_count(estimator):
    function = hnca.value_and_grad(of_a_masked_choice, estimator=EVERY_STATE[estimator])
    value, gradient = function(jnp.asarray(LOGITS), jax.random.key(0))

    def expected(logits):
        return jnp.sum(jax.nn.softmax(logits[:2]) * np.log(STOCK[:2]))

    np.testing.assert_allclose(value, expected(jnp.asarray(LOGITS)), rtol=1e-12)
    np.testing.assert_allclose(gradient, jax.grad(expected)(jnp.asarray(LOGITS)), atol=1e-12)


@pytest.mark.parametrize("estimator", EVERY_STATE)
@pytest.mark.sweep
def test_nor_does_one_that_another_draw_makes_impossible(estimator):
    hnca.check_unbiased(
        of_what_a_choice_masks, (jnp.asarray(LOGITS), jax.random.key(0)), estimator=EVERY_STATE[estimator]
    )


def log_weight(logits, key, given=None):
    h = hnca.bernoulli(key, logits, given=given)
    possible = jnp.where(jnp.sum(h) > 2, -jnp.inf, -0.7 * jnp.sum(h))
    return hnca.log_weight(possible, jnp.sum(hnca.log_prob(logits, h)))


@pytest.mark.parametrize("estimator", [hnca.VIMCO(5), hnca.ReweightedWakeSleep(5), hnca.LocalDisARM(5)])
def test_a_pass_of_no_weight_leaves_a_bound_finite(estimator):
    function = hnca.value_and_grad(log_weight, estimator=estimator)

    def one(key):
        return function(jnp.asarray(LOGITS), key, estimator_key=jax.random.fold_in(key, 1))

    values, gradients = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), 40))
    assert jnp.all(jnp.isfinite(values))
    assert jnp.all(jnp.isfinite(gradients))


class OfThese(hnca.VIMCO):
    """VIMCO of two passes that are given."""

    pair: jax.Array | None = None

    def passes(self, network, trace, key):
        network_trace = network.evaluate({"h": self.pair}, (2,))
        return Passes(network_trace, jnp.ones(2))


def test_vimco_is_unbiased_where_passes_have_no_weight():
    """By all pairs of states but one: the bound of two impossible ones is infinite, and has no gradient."""
    weights = jnp.asarray([0.0, 0.5, 2.0, 1.0])
    states = jnp.asarray(list(itertools.product((0.0, 1.0), repeat=2)))
    logits = jnp.asarray([0.4, -0.3])
    pairs = [(i, j) for i, j in itertools.product(range(4), repeat=2) if i or j]

    def chance(logits, state):
        on = jax.nn.sigmoid(logits)
        return jnp.prod(jnp.where(state > 0, on, 1 - on))

    def both(logits, i, j):
        return chance(logits, states[i]) * chance(logits, states[j])

    def bound(logits):
        return sum(both(logits, i, j) * jnp.log((weights[i] + weights[j]) / 2) for i, j in pairs)

    def drawing(logits, key):
        h = hnca.bernoulli(key, logits, name="h")
        weight = weights[(2 * h[0] + h[1]).astype(int)]
        log_q = jnp.sum(hnca.log_prob(logits, h))
        return hnca.log_weight(jnp.log(weight) + log_q, log_q)

    def credited(pair):
        return hnca.grad(drawing, estimator=OfThese(2, pair))(logits, jax.random.key(0))

    gradients = jax.jit(jax.vmap(credited))(states[jnp.asarray(pairs)])
    found = sum(both(logits, i, j) * gradient for (i, j), gradient in zip(pairs, gradients, strict=True))
    np.testing.assert_allclose(found, jax.grad(bound)(logits), atol=1e-12)
