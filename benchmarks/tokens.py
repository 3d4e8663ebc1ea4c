"""Times an update of draws that read each other unit by unit: `python benchmarks/tokens.py 32 128 512`."""

import statistics
import sys
import time

import jax
import jax.numpy as jnp

import hnca

BATCH, FEATURES, CATEGORIES, SIZE, NEXT = 4, 16, 64, 16, 8


def cost(params, key, x):
    """Every token draws one of 64 categories, and one of 8 by the first's embedding."""
    first, second = jax.random.split(key)
    word = hnca.categorical(first, x @ params["first"])
    kind = hnca.categorical(second, params["embedding"][word] @ params["second"])
    return jnp.sum(kind * x[:, 0])


def milliseconds(estimator, params, keys, xs, turns=9):
    """Returns the median of an update's time."""
    step = jax.jit(hnca.value_and_grad(cost, in_axes=(None, 0, 0), estimator=estimator))
    jax.block_until_ready(step(params, keys, xs))
    found = []
    for _ in range(turns):
        begun = time.perf_counter()
        for _ in range(5):
            jax.block_until_ready(step(params, keys, xs))
        found.append((time.perf_counter() - begun) * 200)
    return statistics.median(found)


def main(sizes):
    shapes = {"first": (FEATURES, CATEGORIES), "embedding": (CATEGORIES, SIZE), "second": (SIZE, NEXT)}
    params = {n: 0.1 * jax.random.normal(jax.random.key(i), s) for i, (n, s) in enumerate(shapes.items())}
    print("| tokens | HNCA, ms | REINFORCE, ms | ratio |\n|---|---|---|---|")
    for size in sizes:
        data = jax.random.split(jax.random.key(9), BATCH), jax.random.normal(jax.random.key(8), (BATCH, size, FEATURES))
        ours, theirs = (milliseconds(estimator, params, *data) for estimator in (hnca.HNCA(), hnca.REINFORCE()))
        print(f"| {size} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.1f} |", flush=True)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
