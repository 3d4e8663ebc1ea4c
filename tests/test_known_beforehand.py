"""What a baseline that learns from the example sees of a stored episode: nothing that may have come of the action."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweeps import some_thorough

import hnca

PAYS, LOGIT, SEEN = np.array([0.7, -1.3]), 0.4, 1.5
pytestmark = pytest.mark.usefixtures("float64", "quick_compilation")


def by_fields(p, t):
    action = hnca.bernoulli(None, p * t["observation"], given=t["action"])
    return -hnca.observed(t["advantage"] + 0.0 * action)


def weighted(p, t):
    return t["weight"] * by_fields(p, t)


def until_done(p, t):
    return jnp.where(t["done"], 0.0, by_fields(p, t))


def by_row(p, t, pick=lambda row: row[0]):
    row = t["row"]
    action = hnca.bernoulli(None, p * pick(row), given=row[2])
    return -hnca.observed(jnp.take(row, 1) + 0.0 * action)


PLACES = np.array([2, 0])
PICKS = {
    "indices": (lambda row: jnp.sum(row[np.array([0])]), 1),
    "an index that is closed over": (lambda row: row[jnp.asarray(PLACES)][1], 1),
    "a mask": (lambda row: jnp.sum(row[np.array([True, False, False])]), 1),
    "a product": (lambda row: row @ jnp.eye(3)[0], 1),
    "a checkpoint": (lambda row: jax.checkpoint(lambda a: a[0])(row), None),
    "a condition": (lambda row: jax.lax.cond(row[0] < 9, lambda a: a[0], lambda a: 0 * a[0], row), None),
}


def by_scaled_row(p, t):
    return by_row(p, {"row": (t["row"] - 0.5) / 2.0})


def in_steps(p, t):
    def step(total, row):
        action = hnca.bernoulli(None, p * row[0], given=row[2])
        return total - hnca.observed(row[1] + 0.0 * action), None

    return jax.lax.scan(step, jnp.zeros(()), t["row"][None])[0]


def carried(p, t):
    def step(carry, _):
        row, total = carry
        action = hnca.bernoulli(None, p * row[0], given=row[2])
        return (row, total - hnca.observed(row[1] + 0.0 * action)), None

    return jax.lax.scan(step, (t["row"], jnp.zeros(())), None, length=1)[0][1]


def fields(action):
    found = {
        "observation": jnp.full(action.shape, SEEN, float),
        "action": action,
        "advantage": jnp.asarray(PAYS)[action.astype(int)],
    }
    return found | {"weight": 2.0 - 1.5 * action, "done": action > 0, "next": SEEN + action}


def row(action):
    return {
        "row": jnp.stack([jnp.full(action.shape, SEEN, float), jnp.asarray(PAYS)[action.astype(int)], action], axis=-1)
    }


def scaled(action):
    return {"row": 2 * row(action)["row"] + 0.5}


STORED = {
    "fields that are not read": (by_fields, fields, lambda a: -PAYS[a], 1),
    "a weight outside of what is observed": (weighted, fields, lambda a: -PAYS[a] * (2.0 - 1.5 * a), 1),
    "the end of an episode": (until_done, fields, lambda a: 0.0 if a else -PAYS[a], 1),
    "side by side": (by_row, row, lambda a: -PAYS[a], 1),
    "side by side, and scaled": (by_scaled_row, scaled, lambda a: -PAYS[a], 1),
    "side by side in steps": (in_steps, row, lambda a: -PAYS[a], None),
}
LEARNERS = {
    "REINFORCE": hnca.REINFORCE(hnca.LearnedBaseline(0.1)),
    "HNCA": hnca.HNCA(hnca.LearnedBaseline(0.1)),
    "NVIL": hnca.NVIL(normalise=False),
}


def expected_estimate(loss, data, estimator, unroll):
    """The estimate's expectation over the action, with a baseline that has learned; and the baseline's state."""
    both = jax.jit(
        hnca.value_and_grad(loss, in_axes=(None, 0), estimator=estimator, stateful=True, unroll=unroll),
    )
    p, actions, state = jnp.asarray(LOGIT), jnp.asarray([0.0, 1.0, 1.0, 0.0]), None
    for _ in range(40):
        (_, state), _ = both(p, data(actions), estimator_state=state)
    up = jax.nn.sigmoid(LOGIT * SEEN)
    found = [both(p, data(jnp.full(1, float(action))), estimator_state=state)[1] for action in (0, 1)]
    return (1 - up) * found[0] + up * found[1], state


@pytest.mark.parametrize("learner", some_thorough(LEARNERS, ["HNCA", "NVIL"]))
@pytest.mark.parametrize("name", STORED)
@pytest.mark.sweep
def test_the_estimate_stays_unbiased(name, learner):
    loss, data, value, size = STORED[name]
    found, state = expected_estimate(loss, data, LEARNERS[learner], unroll=True)
    up = jax.nn.sigmoid(LOGIT * SEEN)
    np.testing.assert_allclose(found, up * (1 - up) * SEEN * (value(1) - value(0)), rtol=1e-9)
    if size is not None:
        assert any(size in leaf.shape and leaf.ndim == 2 for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("name", PICKS)
@pytest.mark.sweep
def test_so_it_does_however_the_observation_is_picked(name):
    pick, size = PICKS[name]
    found, state = expected_estimate(partial(by_row, pick=pick), row, LEARNERS["REINFORCE"], unroll=True)
    up = jax.nn.sigmoid(LOGIT * SEEN)
    np.testing.assert_allclose(found, -up * (1 - up) * SEEN * (PAYS[1] - PAYS[0]), rtol=1e-9)
    if size is not None:
        assert any(size in leaf.shape and leaf.ndim == 2 for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("loss", [in_steps, carried])
@pytest.mark.sweep
def test_so_it_does_in_loops(loss):
    found, _ = expected_estimate(loss, row, LEARNERS["REINFORCE"], unroll=False)
    up = jax.nn.sigmoid(LOGIT * SEEN)
    np.testing.assert_allclose(found, -up * (1 - up) * SEEN * (PAYS[1] - PAYS[0]), rtol=1e-9)


def test_what_is_drawn_anew_hides_nothing():
    """A program that is given nothing was begun with all of its arguments: labels, and what it does not read."""

    def loss(p, x, label, unread, key):
        return jnp.square(label - hnca.bernoulli(key, p * x))

    both = hnca.value_and_grad(loss, in_axes=(None, 0, 0, 0, 0), estimator=LEARNERS["REINFORCE"], stateful=True)
    data = jnp.ones((4, 2)), jnp.ones(4), jnp.ones((4, 3)), jax.random.split(jax.random.key(0), 4)
    state = both.init(jnp.asarray(1.0), data[0][:, 0], *data[1:])
    assert any(5 in leaf.shape for leaf in jax.tree.leaves(state))
