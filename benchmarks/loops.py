"""Compares loops written out with loops that stay loops: `python benchmarks/loops.py [DRAWS] [NAME ...]`.

With `shared` for a name: what becomes of a parameter that all steps share.

Seconds to trace and compile, milliseconds of an update by 16 simulations, and ln of the variance of one simulation's
gradient by all parameters together; running means settled.
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
ESTIMATORS = {"HNCA": hnca.HNCA(), "REINFORCE, running mean": hnca.REINFORCE(hnca.RunningMean())}


def pushed(carry, logit, key):
    """Returns a cart's place and speed after a step, and what they cost."""
    place, speed = carry
    speed = 0.95 * speed + 0.1 * hnca.bernoulli(key, logit, values=(-1, 1))
    place = place + 0.1 * speed
    return (place, speed), place**2 + 0.1 * speed**2


def cart(steps):
    """A cart that is pushed left or right and has to stay in the middle: each push is in all that comes after."""

    def loss(p, key):
        def step(carry, key):
            return pushed(carry, p["place"] * carry[0] + p["speed"] * carry[1] + p["bias"], key)

        start = jnp.asarray(1.0), jnp.asarray(0.0)
        return jnp.mean(jax.lax.scan(step, start, jax.random.split(key, steps))[1])

    return loss, {"place": jnp.asarray(-0.5), "speed": jnp.asarray(-0.2), "bias": jnp.asarray(0.1)}


def epidemic(days):
    """Everybody's state on each day, given the day before."""
    counts = 5.0 + 3.0 * jnp.sin(jnp.arange(days) / 3.0)
    return lambda p, key: EPIDEMIC["loss"](p, key, counts), {"infection": jnp.log(0.3), "recovery": jnp.log(0.5)}


PROGRAMS = {
    **{f"cart, {steps} steps": (cart(steps), steps <= 10) for steps in (5, 10, 30, 100, 300)},
    **{f"epidemic, {days} days": (epidemic(days), days <= 10) for days in (5, 10)},
}


def measured(loss, p, estimator, unroll, draws):
    """Returns seconds of compilation, milliseconds an update, and ln of the variance of one simulation's gradient."""
    both = hnca.value_and_grad(loss, in_axes=(None, 0), estimator=estimator, stateful=True, unroll=unroll)

    @jax.jit
    def update(p, key, state):
        (_, state), gradient = both(p, jax.random.split(key, SIMULATIONS), estimator_state=state)
        return gradient, state

    began = time.perf_counter()
    _, state = jax.block_until_ready(update(p, jax.random.key(0), None))
    compiled = time.perf_counter() - began
    state = settled(update, p)
    found = [jax.tree.leaves(update(p, key, state)[0]) for key in jax.random.split(jax.random.key(3), draws)]
    variance = SIMULATIONS * float(np.sum(np.var(np.array(found, np.float64), axis=0, ddof=1)))
    return compiled, milliseconds({"": update}, p, {"": state}, calls=20, turns=5)[""], math.log(variance)


def shared(steps, draws):
    """Prints variances of a bias for each step, and of one that all share, by HNCA and by REINFORCE, no baselines."""

    def loss(biases, key):
        def step(carry, row):
            key, bias = row
            return pushed(carry, -0.5 * carry[0] - 0.2 * carry[1] + bias, key)

        start = jnp.asarray(1.0), jnp.asarray(0.0)
        return jnp.mean(jax.lax.scan(step, start, (jax.random.split(key, steps), biases))[1])

    found = {}
    for label, estimator in {"HNCA": hnca.HNCA(), "REINFORCE": hnca.REINFORCE()}.items():
        gradient = jax.jit(jax.vmap(hnca.grad(loss, estimator=estimator, unroll=False), in_axes=(None, 0)))
        keys = jax.random.split(jax.random.key(3), (max(1, draws // 20), 20))
        found[label] = np.concatenate([np.asarray(gradient(jnp.full(steps, 0.1), k), np.float64) for k in keys])
        each, together = found[label].var(axis=0).sum(), found[label].sum(axis=1).var()
        print(f"{label}, {steps} steps: sum of variances {each:.3f}, variance of the sum {together:.2f}")
    ratio = found["HNCA"].var(axis=0) / found["REINFORCE"].var(axis=0)
    print(f"largest ratio of a step's variances: {ratio.max():.3f}")


def main(draws, names):
    print("| program | estimator | loop | compiled, s | ms | ln variance |")
    print("|---|---|---|---|---|---|")
    for name, ((loss, p), is_short) in PROGRAMS.items():
        if names and not any(wanted in name for wanted in names):
            continue
        for label, estimator in ESTIMATORS.items():
            for unroll in (True, False) if is_short else (False,):
                seconds, ms, variance = measured(loss, p, estimator, unroll, draws)
                way = "written out" if unroll else "stays one"
                print(f"| {name} | {label} | {way} | {seconds:.1f} | {ms:.2f} | {variance:.2f} |", flush=True)


if __name__ == "__main__":
    draws, names = int(sys.argv[1]) if len(sys.argv) > 1 else 200, sys.argv[2:]
    if names == ["shared"]:
        shared(300, draws)
    else:
        main(draws, names)
