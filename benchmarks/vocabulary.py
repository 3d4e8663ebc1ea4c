"""Compares estimators on one categorical unit of very many values: `python benchmarks/vocabulary.py [SIZE ...]`.

A word of a vocabulary is drawn, and what a network makes of its embedding and of an example is the loss, which no
closed form knows. Its probabilities are like those of words (1 / rank), or all alike. Of one draw: the squared length
of the gradient's noise by the logits, in parts of the exact gradient's, which is `p (f - E f)` of all words; the bias
likewise, and its z over groups of draws; the milliseconds of an update by 16 examples; and noise times milliseconds.
"""

import math
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import hnca

WIDTH, EXAMPLES, DRAWS, SETTLING, OFFSET = 16, 16, 4096, 300, 5.0
ROUNDING = 1e-9
"""Of 32 bits."""
SEEN = jax.random.normal(jax.random.key(8), (EXAMPLES, WIDTH))
ESTIMATORS = {
    "HNCA": hnca.HNCA(),
    "HNCA, 4 counterfactuals": hnca.HNCA(counterfactuals=4),
    "REINFORCE": hnca.REINFORCE(),
    "REINFORCE, running mean": hnca.REINFORCE(hnca.RunningMean()),
    "LOO, 4 values": hnca.MultiSampleLeaveOneOut(4),
    "unordered set, 4 values": hnca.UnorderedSet(4),
    "DisARM": hnca.DisARM(),
    "straight-through (biased)": hnca.StraightThrough(),
    "Gumbel-softmax, straight-through (biased)": hnca.StraightThroughGumbelSoftmax(0.5),
}
LOGITS = {
    "probabilities like those of words": lambda size: -jnp.log(jnp.arange(1.0, size + 1)),
    "all alike": lambda size: jnp.zeros(size),
}


def network_of(size):
    """Returns embeddings, and a function of one of them: smooth, not linear, a few units of spread around an offset."""
    keys = jax.random.split(jax.random.key(7), 3)
    first = jax.random.normal(keys[0], (WIDTH, 4 * WIDTH)) / math.sqrt(WIDTH)
    second = jax.random.normal(keys[1], (4 * WIDTH,)) / math.sqrt(WIDTH)
    return jax.random.normal(keys[2], (size, WIDTH)), lambda embedding: OFFSET + jnp.tanh(embedding @ first) @ second


def update_of(estimator, size):
    """Returns an update of examples that share their logits, (logits, key, state) to (gradients, state)."""
    embeddings, network = network_of(size)

    def loss(logits, key, example):
        return network(embeddings[hnca.categorical(key, logits)] + example)

    both = hnca.value_and_grad(loss, in_axes=(None, 0, 0), estimator=estimator, stateful=True)

    @jax.jit
    def update(logits, key, state):
        key, own_key = jax.random.split(key)
        keys = jax.random.split(key, EXAMPLES)
        (_, state), gradient = both(logits, keys, SEEN, estimator_key=own_key, estimator_state=state)
        return gradient, state

    return update


def settled(update, logits):
    """Returns the state after some updates; None where there is none."""
    state = update(logits, jax.random.key(1), None)[1]
    if not jax.tree.leaves(state):
        return None
    for key in jax.random.split(jax.random.key(2), SETTLING):
        state = update(logits, key, state)[1]
    return state


def exact(logits, size):
    """Returns the gradient of the expectation, which shares no code with the estimators."""
    embeddings, network = network_of(size)
    with jax.enable_x64(True):
        of_all = jax.jit(jax.vmap(network))
        values = np.mean([np.asarray(of_all(embeddings + example), np.float64) for example in SEEN], axis=0)
    p = np.exp(np.asarray(logits, np.float64))
    p /= p.sum()
    return p * (values - p @ values)


def noise(update, logits, state, truth):
    """Returns the noise of one draw and the bias, in parts of the true gradient, and the bias' z."""
    groups = []
    square = 0.0
    for key in jax.random.split(jax.random.key(3), DRAWS // EXAMPLES):
        error = np.asarray(update(logits, key, state)[0], np.float64) - truth
        square += float(error @ error)
        groups.append(error)
    sums = np.array(groups).reshape(16, -1, len(truth)).mean(axis=1)
    products = sums @ sums.T
    pairs = 16 * 15
    squared_bias = (products.sum() - np.trace(products)) / pairs
    left_out = []
    for g in range(16):
        rest = np.delete(np.delete(products, g, 0), g, 1)
        left_out.append((rest.sum() - np.trace(rest)) / (15 * 14))
    error = math.sqrt(15 / 16 * float(np.sum((np.array(left_out) - np.mean(left_out)) ** 2)))
    length = float(truth @ truth)
    per_draw = EXAMPLES * (square / len(groups) - max(squared_bias, 0.0))
    return per_draw / length, math.sqrt(max(squared_bias, 0.0) / length), squared_bias / max(error, 1e-300)


def milliseconds(updates, logits, states, calls=5, turns=7):
    """Returns the median over turns for each."""
    key, times = jax.random.key(4), {name: [] for name in updates}
    for _ in range(turns):
        for name, update in updates.items():
            start = time.perf_counter()
            for _ in range(calls):
                out = update(logits, key, states[name])
            jax.block_until_ready(out)
            times[name].append((time.perf_counter() - start) / calls * 1e3)
    return {name: statistics.median(taken) for name, taken in times.items()}


def main(sizes):
    """Prints a table for every size and kind of logits, the cheapest precision first."""
    for size in sizes:
        for where, logits_of in LOGITS.items():
            logits = logits_of(size)
            truth = exact(logits, size)
            # Every value evaluated for every example is what the others are there to save: at 50,000 it is left out.
            names = [name for name in ESTIMATORS if size <= 5000 or name != "HNCA"]
            updates = {name: update_of(ESTIMATORS[name], size) for name in names}
            states = {name: settled(update, logits) for name, update in updates.items()}
            found = {name: noise(updates[name], logits, states[name], truth) for name in names}
            taken = milliseconds(updates, logits, states)
            print(
                f"\n{size} values, {where}\n\n| estimator | noise | bias (z) | ms | noise x ms |\n|---|---|---|---|---|"
            )
            for name in sorted(names, key=lambda name: found[name][0] * taken[name]):
                variance, bias, z = found[name]
                exactly = variance < ROUNDING
                shown = "none: exact | -" if exactly else f"{variance:.3g} | {bias:.3f} ({z:.1f})"
                product = "-" if exactly else f"{variance * taken[name]:.3g}"
                print(f"| {name} | {shown} | {taken[name]:.2f} | {product} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1000, 50000])
