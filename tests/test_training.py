"""Training: the epoch's order, a golden trajectory, and learning from rewards alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import hnca
from hnca.experiments.optimisers import ascent
from hnca.experiments.settings import OptimiserSettings
from hnca.experiments.training.minibatches import TrainingState, apply_gradient, initial_state, train_epoch


def test_an_epoch_visits_every_example_once_in_a_new_order():
    def update(state, batch, key):
        return state._replace(parameters=state.parameters.at[batch].add(1)), jnp.sum(batch)

    state = TrainingState(jnp.zeros(10, jnp.int32), (), ())
    once, total = train_epoch(update, state, jax.random.key(0), 10, 5)
    assert once.parameters.tolist() == [1] * 10
    np.testing.assert_allclose(total, 45 / 2)
    left_over, _ = train_epoch(update, state, jax.random.key(0), 10, 4)
    assert sorted(left_over.parameters.tolist()) == [0, 0] + [1] * 8

    def remember(state, batch, key):
        return state, batch[0].astype(jnp.float32)

    orders = [float(train_epoch(remember, state, jax.random.key(k), 10, 5)[1]) for k in range(20)]
    assert len(set(orders)) > 1


def xor_bandit(estimator, updates):
    """Learns the exclusive or of two bits from rewards; returns the share of right actions in the last updates."""
    k1, k2 = jax.random.split(jax.random.key(0))
    layers = {
        "hidden": hnca.Bernoulli(hnca.Dense("bits", 2, 8, key=k1), values=(-1, 1)),
        "action": hnca.Categorical(hnca.Dense("hidden", 8, 2, key=k2)),
    }
    network = hnca.Network(layers, inputs={"bits": 2})
    optimiser = ascent(OptimiserSettings(learning_rate=0.03))
    bits = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    answers = jnp.array([0, 1, 1, 0])

    def update(state, batch, key):
        network = state.parameters
        trace = network.sample(key, {"bits": bits[batch % 4]})
        reward = (trace["action"][:, 0] == answers[batch % 4]).astype(jnp.float32)
        estimate = estimator(network, hnca.Reward("action", reward), trace, state=state.estimator)
        return apply_gradient(state, estimate.gradient, estimate.state, optimiser), jnp.mean(reward)

    objective = hnca.Objective(hnca.Reward("action", jnp.zeros(())))
    state = initial_state(network, estimator.init(network, objective), optimiser)
    epoch = jax.jit(lambda state, key: train_epoch(update, state, key, 8 * updates, 8))
    rewards = []
    for key in jax.random.split(jax.random.key(1), 6):
        state, reward = epoch(state, key)
        rewards.append(float(reward))
    return rewards, state


def test_rewards_alone_teach_the_exclusive_or():
    rewards, _ = xor_bandit(hnca.HNCA(hnca.RunningMean()), 150)
    assert rewards[-1] > 0.95 > 0.8 > rewards[0]


def test_golden_trajectory():
    """Pins the stream of random numbers and the arithmetic: a change here changes every published number."""
    rewards, state = xor_bandit(hnca.HNCA(hnca.RunningMean(debias=False)), 4)
    np.testing.assert_allclose(rewards, GOLDEN_REWARDS, atol=1e-6)
    weights = state.parameters.layers["action"].conditional.weights[0]
    np.testing.assert_allclose(weights[0], GOLDEN_WEIGHTS, rtol=1e-4)
    assert eqx.tree_equal(jax.tree.map(jnp.shape, state.estimator), {"action": ((),), "hidden": ((),)})


GOLDEN_REWARDS = [0.5, 0.4375, 0.46875, 0.59375, 0.375, 0.53125]
GOLDEN_WEIGHTS = [0.4015858, -0.7123079]
