"""What is not finite, in data or in a reward, is in no baseline's memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

WEIGHTS = (jnp.array([[0.5, -0.3, 0.1], [0.8, 0.2, 0.0]]), 0.1 * jnp.ones((3, 3)))
NAN, NEVER = jnp.nan, -jnp.inf
MISSING = jnp.array([[1.0, 0.5], [NAN, 2.0]])
OPEN = jnp.array([[0.0, NEVER, 0.0], [0.0, 0.0, NEVER]])
CASES = [(hnca.HNCA(hnca.RunningMean()), True), (hnca.REINFORCE(hnca.LearnedBaseline()), True)]
CASES += [(hnca.NVIL(), True), (hnca.REINFORCE(hnca.LearnedBaseline()), False)]


def reward(weights, key, x, open_, scale):
    """The program itself is finite: what is missing counts as 0, and what is closed is not drawn."""
    first, second = jax.random.split(key)
    hidden = hnca.bernoulli(first, jnp.where(jnp.isnan(x), 0.0, x) @ weights[0])
    action = hnca.categorical(second, hidden @ weights[1] + open_)
    return scale * hnca.observed((action == 0).astype(jnp.float32) + 0.5)


@pytest.mark.parametrize(("estimator", "unroll"), CASES)
@pytest.mark.sweep
def test_missing_data_and_a_bad_reward_do_not_stay(estimator, unroll):
    both = hnca.value_and_grad(reward, in_axes=(None, 0, 0, 0, None), estimator=estimator, stateful=True, unroll=unroll)
    both, init = jax.jit(both), both.init
    state = init(WEIGHTS, jax.random.split(jax.random.key(0), 2), MISSING, OPEN, 1.0)
    for step, scale in enumerate([1.0, NAN, 1.0, jnp.inf, 1.0]):
        keys = jax.random.split(jax.random.key(step), 2)
        (value, new), gradient = both(WEIGHTS, keys, MISSING, OPEN, jnp.asarray(scale), estimator_state=state)
        found = jax.tree.leaves((value, gradient))
        if step % 2:
            assert not np.isfinite(value)
            jax.tree.map(np.testing.assert_array_equal, new, state)
        else:
            assert all(np.all(np.isfinite(leaf)) for leaf in [*found, *jax.tree.leaves(new)])
            assert any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (new, state)), strict=True))
        state = new
