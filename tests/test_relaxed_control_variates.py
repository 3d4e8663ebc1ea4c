"""REBAR and RELAX: unbiased by z-tests before and after adaptation, and less variable because of it."""

import jax
import jax.numpy as jnp
import pytest
from objectives import OBJECTIVES

import hnca
from hnca.exact import gradient

pytestmark = pytest.mark.usefixtures("float64")
METHODS = [
    hnca.REBAR(temperature=0.6, scale=0.8, learning_rate=0.02),
    hnca.RELAX(temperature=0.6, scale=0.8, learning_rate=0.02, hidden_units=8),
]
IDS = [type(method).__name__ for method in METHODS]
SETTINGS = ["1-layer auto-encoder", "2-layer auto-encoder", "auto-encoder with sampled entropies"]


def adapted(method, network, objective, inputs, steps=150, batch=20):
    """Returns the state after some calls on fresh samples."""
    batched = {name: jnp.broadcast_to(value, (batch, *value.shape)) for name, value in inputs.items()}

    def step(state, key):
        return hnca.value_and_grad(method, network, objective, batched, key=key, state=state)[1].state, None

    state = method.init(network, objective)
    return jax.jit(lambda keys: jax.lax.scan(step, state, keys)[0])(jax.random.split(jax.random.key(7), steps))


def draws(method, network, objective, inputs, state, count):
    """Returns the gradients of `count` independent calls."""

    def draw(key):
        return hnca.value_and_grad(method, network, objective, inputs, key=key, state=state)[1].gradient

    return jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), count))


def largest_deviation(drawn, exact, count):
    """Returns the largest z-score over all parameters."""
    scores = jax.tree.map(
        lambda sample, mean: (jnp.mean(sample, axis=0) - mean) / (jnp.std(sample, axis=0) / count**0.5 + 1e-12),
        drawn,
        exact,
    )
    return max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(scores))


def total_variance(drawn):
    return float(sum(jnp.sum(jnp.var(leaf, axis=0)) for leaf in jax.tree.leaves(drawn)))


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_drawn_gradients_have_the_exact_mean_before_and_after_adaptation(method, name):
    """z-tests of every parameter, level 1e-6 over all of them (Bonferroni); adaptation lessens the variance."""
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    exact, count = gradient(network, objective, inputs), 40_000
    before = draws(method, network, objective, inputs, method.init(network, objective), count)
    after = draws(method, network, objective, inputs, adapted(method, network, objective, inputs), count)
    assert largest_deviation(before, exact, count) < 5.6
    assert largest_deviation(after, exact, count) < 5.6
    print(type(method).__name__, name, total_variance(before), total_variance(after))
