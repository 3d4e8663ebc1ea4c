"""The registry of loops: functions whose draws stand in a scan, on shapes that can be enumerated.

Each is a function of `(draws, scan, p, key, x)`: `draws` and `scan` are `hnca` and `jax.lax.scan` or, for the oracle,
what hands out chosen values, and steps written out.
"""

import jax
import jax.numpy as jnp

import hnca


def python_scan(step, carry, xs, length=None, reverse=False):
    """What `jax.lax.scan` is, one step after the other: for the oracle, which hands out a value at a time."""
    count = length if xs is None else len(jax.tree.leaves(xs)[0])
    rows = [None] * count
    for i in reversed(range(count)) if reverse else range(count):
        carry, rows[i] = step(carry, None if xs is None else jax.tree.map(lambda a, i=i: a[i], xs))
    return carry, jax.tree.map(lambda *parts: jnp.stack(parts), *rows)


def chain(draws, scan, p, key, x):
    """Each state reads the last one, and every step has a reward."""

    def step(state, key):
        state = draws.bernoulli(key, p["a"] * state + p["b"][0])
        return state, (state - x[0]) ** 2 * p["c"][0]

    _, rewards = scan(step, jnp.zeros(()), jax.random.split(key, 4))
    return jnp.sum(rewards)


def policy(draws, scan, p, key, x):
    """The state is the sum of all that was done; costs are carried and taken off."""

    def step(carry, key):
        state, total = carry
        action = draws.bernoulli(key, p["a"] * state + p["b"][0], values=(-1, 1))
        state = state + 0.3 * action - 0.1 * state
        return (state, total - state**2), None

    (state, total), _ = scan(step, (x[0], jnp.zeros(())), jax.random.split(key, 4))
    return 0.5 * total + jnp.tanh(state)


def rewards_before_and_after(draws, scan, p, key, x):
    """Two draws a step, a reward of the state before them and one of what lies between; discounted."""

    def step(state, row):
        key, time = row
        k1, k2 = jax.random.split(key)
        before = jnp.sin(2.0 * state)
        kind = draws.categorical(k1, p["c"] * state)
        between = kind.astype(state.dtype) * p["a"]
        up = draws.bernoulli(k2, p["b"][:2] * between, values=(-1, 1))
        return 0.5 * state + jnp.sum(up) + between, (0.9**time) * (before + between * x[0])

    _, rewards = scan(step, x[1], (jax.random.split(key, 2), jnp.arange(2.0)))
    return jnp.mean(rewards)


def draws_around(draws, scan, p, key, x):
    """One draw before the loop, which every step reads, and one after, of what the loop came to."""
    k1, k2, k3 = jax.random.split(key, 3)
    mode = draws.bernoulli(k1, p["b"][0])

    def step(state, key):
        state = draws.bernoulli(key, p["b"][:2] * state + mode * p["a"])
        return state, jnp.prod(state) * mode

    state, rewards = scan(step, x[:2], jax.random.split(k2, 2))
    last = draws.categorical(k3, p["c"] * jnp.sum(state))
    return jnp.sum(rewards) + jnp.asarray([1.0, -1.0, 0.3])[last] * jnp.sum(state) + mode


def backwards(draws, scan, p, key, x):
    """From the end, with a reward that only the first step to be taken, the last of all, decides."""

    def step(state, row):
        key, data = row
        new = draws.bernoulli(key, p["a"] * state + p["b"][0] * data)
        return new, new * state * data

    _, rewards = scan(step, jnp.ones(()), (jax.random.split(key, 4), jnp.asarray([0.3, -1.0, 2.0, 0.7])), reverse=True)
    return jnp.sum(rewards * jnp.asarray([1.0, 2.0, 3.0, 4.0])) - rewards[3] * p["c"][0]


def nested(draws, scan, p, key, x):
    """A loop in each step of a loop."""

    def outer(carry, key):
        state, total = carry

        def inner(carry, key):
            state, total = carry
            state = draws.bernoulli(key, p["a"] * state + p["b"][0])
            return (state, total + state * x[0]), state

        (state, total), states = scan(inner, (state, total), jax.random.split(key, 2))
        return (state, total), jnp.prod(states)

    (_, total), products = scan(outer, (jnp.zeros(()), jnp.zeros(())), jax.random.split(key, 2))
    return total * p["c"][0] + jnp.sum(products)


def one_loop_after_another(draws, scan, p, key, x):
    """The second loop goes through what the first has left."""
    k1, k2 = jax.random.split(key)

    def first(state, key):
        state = draws.bernoulli(key, p["a"] * state + p["b"][0])
        return state, state

    def second(state, row):
        key, seen = row
        state = draws.bernoulli(key, seen * p["b"][1] - state)
        return state, state * seen

    state, seen = scan(first, jnp.zeros(()), jax.random.split(k1, 2))
    _, rewards = scan(second, state, (jax.random.split(k2, 2), seen))
    return jnp.sum(rewards) * x[0] + jnp.max(seen) * p["c"][1]


def states_are_looked_at_afterwards(draws, scan, p, key, x):
    """Nothing is summed up in the loop: its states are compared with data row by row, and two are read alone."""

    def step(state, key):
        state = draws.categorical(key, p["c"] * (state.astype(jnp.float32).astype(x.dtype) + 1))
        return state, state

    last, states = scan(step, jnp.asarray(1, jnp.int32), jax.random.split(key, 3))
    near = jnp.square(states.astype(x.dtype) - jnp.asarray([0.3, 1.0, 1.7]).astype(x.dtype)) * p["a"]
    return jnp.sum(near) + states[1].astype(x.dtype) * last.astype(x.dtype) + jnp.sum(states).astype(x.dtype)


def keys_are_carried(draws, scan, p, key, x):
    """The key goes from step to step, and what is masked cannot be drawn."""

    def step(carry, _):
        key, state = carry
        key, sub = jax.random.split(key)
        logits = jnp.where(jnp.arange(3, dtype=jnp.int32) == state, -jnp.inf, p["c"])
        state = draws.categorical(sub, logits)
        return (key, state), jnp.asarray([0.3, -1.0, 2.0])[state]

    _, rewards = scan(step, (key, jnp.asarray(0, jnp.int32)), None, length=3)
    return jnp.sum(rewards) ** 2 + x[0] * rewards[0]


PROGRAMS = [
    chain,
    policy,
    rewards_before_and_after,
    draws_around,
    backwards,
    nested,
    one_loop_after_another,
    states_are_looked_at_afterwards,
    keys_are_carried,
]


def parameters():
    return {"a": jnp.asarray(0.7), "b": jnp.asarray([0.3, -0.8]), "c": jnp.asarray([0.5, -0.4, 0.9])}


X = (0.4, -1.1)


def of_loops(program):
    return lambda p, key, x: program(hnca, jax.lax.scan, p, key, x)


def walk(p, taken, data):
    """Two steps that were taken already."""

    def step(state, row):
        action, data = row
        action = hnca.bernoulli(None, p["a"] * state + p["b"][0] * data, given=action)
        return state + action, (state + action) * data

    _, rewards = jax.lax.scan(step, jnp.asarray(0.5), (taken, data))
    return jnp.sum(rewards)
