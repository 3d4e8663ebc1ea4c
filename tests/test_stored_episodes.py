"""A baseline must not read what was drawn: of a stored episode neither actions nor what they were worth."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

PAYS = (0.7, -1.3)


def given(p, observation, action, reward):
    taken = hnca.bernoulli(None, p["a"] * observation + p["b"], given=action)
    return hnca.observed(reward + 0.0 * taken)


@pytest.mark.parametrize(
    ("estimator", "unroll"),
    [
        (hnca.REINFORCE(hnca.LearnedBaseline(0.1)), True),
        (hnca.REINFORCE(hnca.LearnedBaseline(0.1)), False),
        (hnca.NVIL(), True),
    ],
)
@pytest.mark.sweep
def test_stored_actions_and_rewards_are_not_read(float64, estimator, unroll):
    p, observation = {"a": jnp.asarray(0.4), "b": jnp.asarray(-0.2)}, jnp.asarray(1.5)
    both = jax.jit(
        hnca.value_and_grad(given, in_axes=(None, 0, 0, 0), estimator=estimator, stateful=True, unroll=unroll)
    )
    actions = jnp.asarray([0.0, 1.0, 1.0, 0.0])
    rewards = jnp.asarray([PAYS[0], PAYS[1], PAYS[1], PAYS[0]])
    state = None
    for _ in range(20):
        (_, state), _ = both(p, jnp.full(4, observation), actions, rewards, estimator_state=state)
    up = jax.nn.sigmoid(p["a"] * observation + p["b"])
    found = [
        both(p, observation[None], actions[i : i + 1], rewards[i : i + 1], estimator_state=state)[1] for i in (0, 1)
    ]
    slope = up * (1 - up) * (PAYS[1] - PAYS[0])
    for name, exact in {"a": slope * observation, "b": slope}.items():
        np.testing.assert_allclose((1 - up) * found[0][name] + up * found[1][name], exact, rtol=0, atol=1e-10)


@pytest.mark.parametrize("baseline", [hnca.RunningMean(), hnca.LearnedBaseline(0.1)])
def test_what_fills_up_an_episode_is_not_credited(float64, baseline):
    def filled(p, observation, action, reward, taken):
        logits = jnp.where(taken, p["a"] * observation + p["b"], 0.0)
        drawn = hnca.bernoulli(None, logits, given=action)
        return jnp.where(taken, hnca.observed(reward + 0.0 * drawn), 0.0)

    p = {"a": jnp.asarray(0.4), "b": jnp.asarray(-0.2)}
    estimator = hnca.REINFORCE(baseline)
    both = jax.jit(hnca.value_and_grad(filled, in_axes=(None, 0, 0, 0, 0), estimator=estimator, stateful=True))
    taken = jnp.asarray([True, False, True, False])
    stored = jnp.asarray([1.5, 0.0, -0.5, 0.0]), jnp.asarray([1.0, 0.0, 0.0, 0.0]), jnp.asarray([0.7, 0.0, -1.3, 0.0])
    state = both.init(p, *stored, taken)
    for _ in range(3):
        (_, state), _ = both(p, *stored, taken, estimator_state=state)
    _, found = both(p, *stored, taken, estimator_state=state)
    _, alone = both(p, *(a[taken] for a in stored), taken[taken], estimator_state=state)
    # The mean is over twice as many.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(2 * a, b, rtol=1e-12), found, alone)


REWARDS, TAKEN = jnp.array([1.0, 100.0]), jnp.array([1.0, 1.0])


def test_a_reward_for_each_unit_of_a_draw_is_told_to_be_all_units():
    def each(logits):
        return jnp.sum(hnca.observed(REWARDS + 0.0 * hnca.bernoulli(None, logits, given=TAKEN)))

    def their_sum(logits):
        return hnca.observed(jnp.sum(REWARDS + 0.0 * hnca.bernoulli(None, logits, given=TAKEN)))

    def by_step(logits, taken, reward):
        return hnca.observed(reward + 0.0 * hnca.bernoulli(None, logits, given=taken))

    logits = jnp.zeros(2)
    with pytest.warns(UserWarning, match=r"credited with all of them.*in_axes"):
        found = hnca.grad(each)(logits)
    np.testing.assert_allclose(found, [50.5, 50.5])
    np.testing.assert_allclose(hnca.grad(their_sum)(logits), found)
    alone = hnca.grad(by_step, in_axes=(0, 0, 0))(logits, TAKEN, REWARDS)
    np.testing.assert_allclose(2 * alone, [0.5, 50])


def test_observations_are_read(float64):
    """What logits are made of was there beforehand, though the reward is computed from it too."""

    def loss(p, observation, key):
        action = hnca.bernoulli(key, p * observation)
        return hnca.observed(action * observation)

    estimator = hnca.REINFORCE(hnca.LearnedBaseline(0.1))
    both = jax.jit(hnca.value_and_grad(loss, in_axes=(None, 0, 0), estimator=estimator, stateful=True))
    observations, keys = jnp.asarray([-1.0, 2.0]), jax.random.split(jax.random.key(0), 2)
    (_, state), _ = both(jnp.asarray(0.3), observations, keys, estimator_state=None)
    read = [leaf.shape for leaf in jax.tree.leaves(state) if leaf.ndim == 2]
    assert (1, 100) in read or (100, 1) in read


@pytest.mark.parametrize("kind", ["scan", "cond", "jit"])
def test_an_environment_inside_a_loop_is_asked_once(kind):
    """What a callback returns is observed, wherever it stands: another action cannot be tried."""
    asked = []

    def environment(action):
        asked.append(float(action))
        return np.float32(2 * action + 1)

    def reward(action):
        return jax.pure_callback(environment, jax.ShapeDtypeStruct((), jnp.float32), action, vmap_method="sequential")

    def loss(p, key):
        action = jnp.sum(hnca.bernoulli(key, p))
        if kind == "scan":
            return jax.lax.scan(lambda total, _: (total + reward(action), None), 0.0, None, length=2)[0] ** 2
        if kind == "cond":
            return jax.lax.cond(p[0] > 0, reward, lambda action: action, action) ** 2
        return jax.jit(reward)(action) ** 2

    logits, key = jnp.asarray([0.3, -0.2]), jax.random.key(0)
    assert "observed" in hnca.explain(loss)(logits, key)
    asked.clear()
    jax.block_until_ready(hnca.grad(loss)(logits, key))
    assert set(asked) == {float(jnp.sum(hnca.bernoulli(key, logits)))}


def test_an_environment_that_is_asked_for_what_stands_in_the_text_is_asked_once_a_call():
    asked = []

    def environment(_):
        asked.append(None)
        return np.float32(len(asked))

    def loss(p, key):
        started = jax.experimental.io_callback(environment, jax.ShapeDtypeStruct((), jnp.float32), jnp.float32(3))
        return started * jnp.sum(hnca.bernoulli(key, p))

    compiled = jax.jit(hnca.grad(loss)).lower(jnp.ones(2), jax.random.key(0)).compile()
    assert not asked
    for call in range(1, 3):
        jax.block_until_ready(compiled(jnp.ones(2), jax.random.key(0)))
        jax.effects_barrier()
        assert len(asked) == call


def test_it_is_told_that_a_reward_for_everything_is_credited_by_the_score():
    def episode(p, key, *, observes):
        def step(state, key):
            state = jnp.tanh(2 * state - hnca.bernoulli(key, p["a"] * state + p["b"]))
            return state, state

        total = jnp.sum(jax.lax.scan(step, 1.0, jax.random.split(key, 3))[1])
        return hnca.observed(total) if observes else jnp.sin(total)

    p = {"a": jnp.asarray(0.5), "b": jnp.asarray(-0.2)}
    told = {o: hnca.explain(partial(episode, observes=o))(p, jax.random.key(0)) for o in (True, False)}
    says = "Every draw has the score alone: hnca.HNCA comes to hnca.REINFORCE here."
    assert told[True].splitlines()[-1] == says
    assert says not in told[False]
    # No message is asked for, so none is evaluated anew.
    assert {o: _evaluations(told[o]) for o in told} == {True: ["-", "-", "-"], False: ["-", "-", "2"]}


def _evaluations(told):
    """What stands in the column of that name, of every draw."""
    rows = [re.split("  +", line) for line in told.splitlines()]
    return [row[5] for row in rows if len(row) == 7 and row[0].startswith("bernoulli_")]
