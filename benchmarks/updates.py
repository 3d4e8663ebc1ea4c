"""What the benchmarks of programs do with an update, `(parameters, key, state)` to `(gradient, state)`."""

import statistics
import time

import jax

SETTLING = 300


def settled(update, parameters):
    """Returns the state after some updates at fixed parameters; None where there is none."""
    state = update(parameters, jax.random.key(1), None)[1]
    if not jax.tree.leaves(state):
        return None
    for key in jax.random.split(jax.random.key(2), SETTLING):
        state = update(parameters, key, state)[1]
    return state


def milliseconds(updates, parameters, states, calls, turns):
    """Returns what an update takes, by name: the median over turns, in each of which all have their calls."""
    key, times = jax.random.key(4), {name: [] for name in updates}
    for _ in range(turns):
        for name, update in updates.items():
            start = time.perf_counter()
            for _ in range(calls):
                out = update(parameters, key, states[name])
            jax.block_until_ready(out)
            times[name].append((time.perf_counter() - start) / calls * 1e3)
    return {name: statistics.median(taken) for name, taken in times.items()}
