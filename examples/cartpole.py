"""CartPole by a policy with binary hidden units: steps are collected in Python, then one update is made of them.

    python examples/cartpole.py    (after pip install gymnasium)

A draw is a function of its key and logits: given the keys of the steps, the update draws the same hidden units and the
same actions again. That is exact as long as the parameters are still those that acted.
"""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import optax

import hnca


def act(params, key, observation):
    """Returns 0 or 1, a push to the left or to the right."""
    hidden_key, action_key = jax.random.split(key)
    hidden = hnca.bernoulli(hidden_key, observation @ params["in"] + params["bias"], values=(-1, 1))
    return hnca.bernoulli(action_key, hidden @ params["out"])


def loss(params, key, observation, action, advantage):
    """Minus the advantage of the action taken; what another would have brought nobody knows, so it is `observed`."""
    return -hnca.observed(jnp.where(act(params, key, observation) == action, advantage, 0.0))


def collect(environment, policy, params, keys, discount=0.98):
    """Takes one step a key; returns observations, actions and advantages, and the mean length of the episodes."""
    observations, actions, returns, lengths = [environment.reset()[0]], [], [], []
    for key in keys:
        actions.append(policy(params, key, observations[-1]))
        observation, _, fallen, at_limit, _ = environment.step(int(actions[-1]))
        if fallen or at_limit:
            lengths.append(len(actions) - len(returns))
            returns += list((1 - discount ** np.arange(lengths[-1], 0, -1)) / (1 - discount))  # a reward of 1 a step
            observation, _ = environment.reset()
        observations.append(observation)
    advantages = np.pad(returns - np.mean(returns), (0, len(keys) - len(returns)))  # 0 in an unfinished episode
    return np.stack(observations[:-1]), np.stack(actions), advantages, np.mean(lengths)


def train(updates, steps=1000):
    """Returns the mean length of the episodes in every update's steps."""
    params = {"in": jax.random.normal(jax.random.key(0), (4, 32)), "bias": jnp.zeros(32), "out": jnp.zeros(32)}
    environment, optimiser, lengths = gymnasium.make("CartPole-v1"), optax.adam(0.04), []
    policy, gradient = jax.jit(act), jax.jit(hnca.grad(loss, in_axes=(None, 0, 0, 0, 0)))
    opt_state, _ = optimiser.init(params), environment.reset(seed=0)
    for keys in jax.random.split(jax.random.key(1), (updates, steps)):
        *stored, length = collect(environment, policy, params, keys)
        change, opt_state = optimiser.update(gradient(params, keys, *stored), opt_state)
        params, lengths = optax.apply_updates(params, change), [*lengths, length]
    return lengths


if __name__ == "__main__":
    print([f"{length:.0f}" for length in train(updates=60)])
