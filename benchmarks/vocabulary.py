"""Compares estimators on one categorical unit of very many values: `python benchmarks/vocabulary.py [SIZE ...]`.

A word of a vocabulary is drawn, and what a network makes of its embedding and of an example is the loss, which no
closed form knows. Its probabilities are like those of words (1 / rank), or all alike. Of one draw: the squared length
of the gradient's noise by the logits, in parts of the exact gradient's, which is `p (f - E f)` of all words; the bias
likewise, and its z over groups of draws; the milliseconds of an update by 16 examples; and noise times milliseconds.
"""

import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
from updates import milliseconds, settled

import hnca
from hnca.experiments.comparison.moments import Drawn
from hnca.experiments.comparison.rows import relative_bias

WIDTH, EXAMPLES, DRAWS, GROUPS, OFFSET = 16, 16, 4096, 16, 5.0
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
    """Returns the noise of one draw, in parts of the true gradient, and the bias."""
    keys = jax.random.split(jax.random.key(3), DRAWS // EXAMPLES)
    errors = np.array([np.asarray(update(logits, key, state)[0], np.float64) - truth for key in keys])
    groups = errors.reshape(GROUPS, -1, len(truth)).mean(axis=1)
    bias = relative_bias(_of_groups(groups + truth), _of_groups(np.broadcast_to(truth, groups.shape)))
    square = float(np.mean(np.sum(errors**2, axis=-1))) / float(truth @ truth)
    return EXAMPLES * (square - bias.relative**2), bias


def _of_groups(means):
    return Drawn({"word": means}, {}, {}, DRAWS)


def main(sizes):
    """Prints a table for every size and kind of logits, the cheapest precision first."""
    for size in sizes:
        for where, logits_of in LOGITS.items():
            logits = logits_of(size)
            truth = exact(logits, size)
            updates = {name: update_of(estimator, size) for name, estimator in ESTIMATORS.items()}
            states = {name: settled(update, logits) for name, update in updates.items()}
            found = {name: noise(update, logits, states[name], truth) for name, update in updates.items()}
            taken = milliseconds(updates, logits, states, calls=5, turns=7)
            print(
                f"\n{size} values, {where}\n\n| estimator | noise | bias (z) | ms | noise x ms |\n|---|---|---|---|---|"
            )
            for name in sorted(updates, key=lambda name: found[name][0] * taken[name]):
                variance, bias = found[name]
                exactly = variance < ROUNDING
                shown = "none: exact | -" if exactly else f"{variance:.3g} | {bias.relative:.3f} ({bias.sureness:.1f})"
                product = "-" if exactly else f"{variance * taken[name]:.3g}"
                print(f"| {name} | {shown} | {taken[name]:.2f} | {product} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1000, 50000])
