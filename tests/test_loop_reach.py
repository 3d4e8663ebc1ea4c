"""Which rewards of a loop's steps a draw is credited with: what it can change, by what is carried and by other draws.

What was taken is given, so that by the score all is certain, and a sum that can be written by hand.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

OBSERVATIONS = jax.random.normal(jax.random.key(0), (5, 3))
ACTIONS = jnp.array([0, 1, 1, 0, 2])
RETURNS = jnp.array([5.0, 4.0, 3.0, 2.5, 1.0])
WEIGHTS = {"in": 0.3 * jnp.ones((3, 4)), "recur": 0.2 * jnp.eye(4), "out": jnp.linspace(-1.0, 1.0, 12).reshape(4, 3)}

pytestmark = pytest.mark.usefixtures("float64", "quick_compilation")


def steps_of(w, reads_action, of_step):
    """A recurrent policy's stored episode: what a function makes of each step's logits, action and return."""

    def step(state, row):
        observation, action, gain = row
        hidden = jnp.tanh(observation @ w["in"] + state @ w["recur"])
        taken, result = of_step(hidden @ w["out"], action, gain)
        return hidden + (0.3 * taken.astype(float) if reads_action else 0.0), result

    return jnp.sum(jax.lax.scan(step, jnp.zeros(4), (OBSERVATIONS.astype(float), ACTIONS, RETURNS.astype(float)))[1])


def by_the_library(w, reads_action):
    def of_step(logits, action, gain):
        taken = hnca.categorical(None, logits, given=action)
        return taken, hnca.observed(gain + 0.0 * taken.astype(float))

    return steps_of(w, reads_action, of_step)


def by_hand(w, reads_action):
    """Each score times what comes of it: its own step's return, or with a state that reads it all later ones too."""
    after = jnp.cumsum(RETURNS[::-1])[::-1] if reads_action else RETURNS

    def of_step(logits, action, gain):
        place = jnp.argmax(RETURNS.astype(float) == gain)
        return action, after[place].astype(float) * jax.nn.log_softmax(logits)[action]

    return jax.grad(lambda w: steps_of(w, reads_action, of_step))(w)


@pytest.mark.parametrize("unroll", [True, False])
@pytest.mark.parametrize("reads_action", [True, False])
@pytest.mark.sweep
def test_what_is_observed_in_a_step_is_credited_to_the_draws_it_comes_of(reads_action, unroll):
    w = jax.tree.map(lambda a: a.astype(float), WEIGHTS)
    found = hnca.grad(by_the_library, estimator=hnca.REINFORCE(), unroll=unroll)(w, reads_action)
    for name, expected in by_hand(w, reads_action).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-10, atol=1e-12, err_msg=name)


def two_states(w, key):
    """One state reads the draws and the other does not; rewards of each and of both."""

    def step(carry, key):
        moved, apart = carry
        up = hnca.bernoulli(key, w[0] + w[1] * jnp.tanh(apart), name="up")
        rewards = jnp.sin(moved), jnp.cos(apart) * w[2], up * apart, jnp.tanh(moved + up)
        return (moved + 0.5 * up, 0.7 * apart + w[1]), rewards

    (moved, apart), rows = jax.lax.scan(step, (0.1, 0.2), jax.random.split(key, 3))
    alone, of_it, before, all_of_it = jnp.sum(rows[1]), jnp.sum(rows[2]), jnp.sum(rows[0]), jnp.sum(rows[3])
    return alone + of_it + before + all_of_it + moved**2 + apart**2


def test_every_way_is_told():
    w, key = jnp.array([0.3, -0.4, 0.5]), jax.random.key(1)
    table = str(hnca.explain(two_states, unroll=False)(w, key))
    for way in ("its own step", "from its step on", "from the next step on", "whole"):
        assert way in table, table


@pytest.mark.parametrize("estimator", [hnca.HNCA(), hnca.REINFORCE()], ids=["hnca", "reinforce"])
@pytest.mark.sweep
def test_every_way_is_exact(estimator):
    arguments = jnp.array([0.3, -0.4, 0.5]), jax.random.key(1)
    hnca.check_unbiased(two_states, arguments, estimator=estimator, unroll=False)


def test_what_no_draw_reaches_adds_no_variance():
    """A reward of a state that no draw reads is in nobody's credit, however large it is."""

    def loss(w, key, scale):
        def step(apart, key):
            up = hnca.bernoulli(key, w[0] * apart)
            return 0.7 * apart + w[1], (up * apart, scale * jnp.cos(apart))

        of_it, alone = jax.lax.scan(step, 0.2, jax.random.split(key, 3))[1]
        return jnp.sum(of_it) + jnp.sum(jax.lax.stop_gradient(alone) ** 2)

    w, key = jnp.array([0.3, -0.4]), jax.random.key(1)
    small, large = (hnca.grad(loss, estimator=hnca.REINFORCE(), unroll=False)(w, key, s) for s in (0.0, 1e3))
    np.testing.assert_allclose(small, large, rtol=1e-10)
