"""A policy with a hidden layer of categorical units, learned from rewards alone.

    python examples/categorical_policy.py

The agent sees an MNIST digit, picks one of ten actions, and is told 1 for the right one and 0 for any other. The hidden
layer has 40 units of 4 values each; HNCA credits every value of every unit by what the action says of it in hindsight.
"""

from functools import partial

import jax
import jax.numpy as jnp
import optax

import hnca
from hnca.experiments.data import load_mnist


def policy(key):
    k1, k2 = jax.random.split(key)
    return hnca.Network(
        {
            "hidden": hnca.Categorical(hnca.Dense("image", 784, 160, key=k1), categories=4),
            "action": hnca.Categorical(hnca.Dense("hidden", 160, 10, key=k2)),
        },
        inputs={"image": 784},
    )


def train(updates, batch_size=50, learning_rate=1e-3):
    """Returns the trained network and the mean reward of each hundredth of the updates."""
    data = load_mnist()
    images, labels = jnp.asarray(data.train_images.reshape(-1, 784)), jnp.asarray(data.train_labels, jnp.int32)
    network = policy(jax.random.key(0))
    optimiser = optax.chain(optax.scale(-1.0), optax.adam(learning_rate))
    estimator = hnca.HNCA(hnca.RunningMean())
    objective = hnca.Objective(hnca.Reward("action", jnp.zeros(())))

    @partial(jax.jit, donate_argnums=0)
    def update(state, key):
        network, opt_state, baselines = state
        batch_key, sample_key = jax.random.split(key)
        batch = jax.random.randint(batch_key, (batch_size,), 0, len(labels))
        trace = network.sample(sample_key, {"image": images[batch] / 255})
        reward = (trace["action"][:, 0] == labels[batch]).astype(jnp.float32)
        estimate = estimator(network, hnca.Reward("action", reward), trace, state=baselines)
        steps, opt_state = optimiser.update(estimate.gradient, opt_state)
        return (optax.apply_updates(network, steps), opt_state, estimate.state), jnp.mean(reward)

    state = network, optimiser.init(network), estimator.init(network, objective)
    rewards = []
    for key in jax.random.split(jax.random.key(1), updates):
        state, reward = update(state, key)
        rewards.append(float(reward))
    return state[0], rewards


if __name__ == "__main__":
    _, rewards = train(updates=4000)
    for start in range(0, 4000, 500):
        print(f"updates {start + 1} to {start + 500}: mean reward {sum(rewards[start : start + 500]) / 500:.3f}")
