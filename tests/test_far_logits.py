"""Logits all of which are far out: only their differences count, however far."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweeps import some_thorough

import hnca

SCORES, PAYS, STEPS = np.array([0.3, -0.4, 1.1]), np.array([1.0, -2.0, 0.5]), 3
pytestmark = pytest.mark.usefixtures("float64", "quick_compilation")


def least_used(scores, taken, away):
    """Each step takes what has been used least, and of several by their scores."""

    def step(carry, given):
        uses, total = carry
        z = hnca.categorical(None, scores - away * uses, given=given)
        pay = jnp.asarray(PAYS)[z] * (1 + z.astype(float))
        return (uses + jax.nn.one_hot(z, 3), total * 0.5 + pay), None

    return jax.lax.scan(step, (jnp.ones(3), jnp.zeros(())), taken)[0][1]


def masked_by_a_table(scores, taken, away):
    """A draw says by how much all of the next one's categories are masked."""
    z = hnca.categorical(None, scores, given=taken[0])
    masks = away * jnp.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    y = hnca.categorical(None, scores - masks[z], given=taken[1])
    return jnp.asarray(PAYS)[z] * jnp.asarray(PAYS)[y] + 0.0 * jnp.asarray(PAYS)[taken[2]]


def probability_of_uses(scores, taken, away):
    uses, total = jnp.ones(3), 0.0
    for one in taken:
        logits = scores - away * uses
        total += jax.nn.log_softmax(logits - jax.lax.stop_gradient(jnp.max(logits)))[one]
        uses += jax.nn.one_hot(one, 3)
    return total


def probability_by_table(scores, taken, away):
    masks = away * jnp.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    return jax.nn.log_softmax(scores)[taken[0]] + jax.nn.log_softmax(scores - masks[taken[0]])[taken[1]] - jnp.log(3)


PROGRAMS = {"least used": (least_used, probability_of_uses), "a table": (masked_by_a_table, probability_by_table)}


@pytest.mark.parametrize("unroll", [True, False])
@pytest.mark.parametrize("estimator", some_thorough(["HNCA", "REINFORCE"], ["REINFORCE"]))
@pytest.mark.parametrize("away", some_thorough([1e8, 2e9, -2e9], [1e8, -2e9]))
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.sweep
def test_the_estimate_is_exact(name, away, estimator, unroll):
    program, probability = PROGRAMS[name]
    taken = jnp.asarray(list(itertools.product(range(3), repeat=STEPS)))

    def weights(scores):
        return jax.vmap(lambda one: jnp.exp(probability(scores, one, away)))(taken)

    scores = jnp.asarray(SCORES)
    values = jax.vmap(lambda one: program(scores, one, away))(taken)
    exact = jax.grad(lambda s: jnp.sum(weights(s) * values))(scores)
    step = hnca.grad(
        lambda s, one, weight: weight * program(s, one, away),
        in_axes=(None, 0, 0),
        estimator=getattr(hnca, estimator)(),
        unroll=unroll,
    )
    found = jax.jit(step)(scores, taken, jax.lax.stop_gradient(weights(scores)) * len(taken))
    np.testing.assert_allclose(found, exact, atol=1e-6)
