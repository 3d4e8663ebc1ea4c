"""Compares estimators on the epidemic of `examples/`: `python benchmarks/epidemic.py [DRAWS] [NAME ...]`.

Twenty people, ten days, two rates that are learned: ten draws of categories, each of which reads the one before. At the
rates at which the example begins, and at those it was made with: the variance of the gradient by both rates together,
of one simulation, the milliseconds of an update by 16, and the product.
"""

import math
import runpy
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from updates import milliseconds, settled

import hnca

EPIDEMIC = runpy.run_path(str(Path(__file__).parent.parent / "examples" / "epidemic.py"))
SIMULATIONS = 16
TRUTH = {"infection": jnp.log(1.2), "recovery": jnp.log(0.2)}
RATES = {"at the start": {"infection": jnp.log(0.3), "recovery": jnp.log(0.5)}, "at the rates in truth": TRUTH}
ESTIMATORS = {
    "HNCA": hnca.HNCA(),
    "HNCA, running mean": hnca.HNCA(hnca.RunningMean()),
    "REINFORCE": hnca.REINFORCE(),
    "REINFORCE, running mean": hnca.REINFORCE(hnca.RunningMean()),
    "LOO": hnca.LeaveOneOut(),
    "LOO, independent, 4 passes": hnca.IndependentLeaveOneOut(4),
    "DisARM": hnca.DisARM(),
    "1 coupled alternative": hnca.CoupledAlternatives(1),
    "4 coupled alternatives": hnca.CoupledAlternatives(4),
    "16 coupled alternatives": hnca.CoupledAlternatives(16),
}


def update_of(estimator, counts):
    """Returns an update of a batch of simulations, (rates, key, state) to (gradient, state), compiled once."""
    both = hnca.value_and_grad(EPIDEMIC["loss"], in_axes=(None, 0, None), estimator=estimator, stateful=True)

    @jax.jit
    def update(rates, key, state):
        key, own_key = jax.random.split(key)
        keys = jax.random.split(key, SIMULATIONS)
        (_, state), gradient = both(rates, keys, counts, estimator_key=own_key, estimator_state=state)
        return gradient, state

    return update


def moments(update, rates, state, draws):
    """Returns the mean by each rate, and the variance by all of them together of what one simulation gives."""
    found = [update(rates, key, state)[0] for key in jax.random.split(jax.random.key(3), draws)]
    values = np.array([jax.tree.leaves(each) for each in found], np.float64)
    return np.mean(values, axis=0), SIMULATIONS * float(np.sum(np.var(values, axis=0, ddof=1)))


def main(draws, names):
    """Prints a table for each pair of rates, the cheapest precision first."""
    towns = jax.vmap(EPIDEMIC["simulate"], (None, 0))(TRUTH, jax.random.split(jax.random.key(0), 100))
    counts = jnp.mean(towns, axis=0, dtype=jnp.float32)
    updates = {name: update_of(ESTIMATORS[name], counts) for name in names}
    for where, rates in RATES.items():
        states, found = {}, {}
        for name, update in updates.items():
            start = time.perf_counter()
            states[name] = settled(update, rates)
            found[name] = moments(update, rates, states[name], draws)
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        taken = milliseconds(updates, rates, states, calls=20, turns=9)
        print(f"\n{where}\n\n| estimator | mean gradient | ln variance | ms | variance x ms |\n|---|---|---|---|---|")
        for name in sorted(names, key=lambda name: found[name][1] * taken[name]):
            mean, variance = found[name]
            means = ", ".join(f"{value:.2f}" for value in mean)
            print(f"| {name} | {means} | {math.log(variance):.2f} | {taken[name]:.2f} | {variance * taken[name]:.3g} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, sys.argv[2:] or list(ESTIMATORS))
