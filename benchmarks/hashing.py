"""Learns 64-bit codes of images for retrieval, by many estimators, each at the best of its learning rates.

Two tasks, both a program of one draw of 64 bits behind a network of 784, 512 and 64 units:

- `labels`: the code has to tell the class, by a linear classifier (supervised hashing);
- `images`: the code has to tell the image, by a linear decoder, and costs what it says (a bound; semantic hashing).

Every estimator is trained at every rate with the first seed, then at the rate that was best on validation queries with
the others. A row is written as soon as a training ends; what has a row is not trained again.

    python benchmarks/hashing.py --out hashing.jsonl --dataset fashion-mnist
    python benchmarks/hashing_tables.py hashing.jsonl --task labels
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hashing_tables import best_rate, rows_of

import hnca
from hnca.experiments.data import load_dataset

BITS, HIDDEN, CLASSES, BATCH = 64, 512, 10, 100
VALIDATION = 5_000
"""So many of the last training images ask instead of being found."""
RATES = (1e-3, 3e-3, 1e-2)

ESTIMATORS: dict[str, hnca.Estimator] = {
    "HNCA": hnca.HNCA(),
    "straight-through": hnca.StraightThrough(),
    "ReinMax": hnca.ReinMax(),
    "Gumbel-softmax": hnca.GumbelSoftmax(),
    "straight-through Gumbel-softmax": hnca.StraightThroughGumbelSoftmax(),
    "DisARM": hnca.DisARM(),
    "LOO, 4 samples": hnca.MultiSampleLeaveOneOut(4),
    "REINFORCE with baseline": hnca.REINFORCE(hnca.RunningMean()),
}


class Searched(NamedTuple):
    """Images in 0 to 1, `[images, pixels]`, and their classes, for each of three uses."""

    stored: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def searched(dataset, directory=None):
    """Loads a data set and keeps its last training images back."""
    data = load_dataset(dataset, directory)

    def flat(images):
        return images.reshape(len(images), -1).astype(np.float32) / 255

    images, labels = flat(data.train_images), data.train_labels
    return Searched(
        (images[:-VALIDATION], labels[:-VALIDATION]),
        (images[-VALIDATION:], labels[-VALIDATION:]),
        (flat(data.test_images), data.test_labels),
    )


def initial(task, key, pixels):
    """Returns the parameters of the encoder and of what reads the code."""
    k1, k2, k3 = jax.random.split(key, 3)
    draw = jax.nn.initializers.lecun_normal()
    read = CLASSES if task == "labels" else pixels
    parameters = {
        "hidden": (draw(k1, (pixels, HIDDEN)), jnp.zeros(HIDDEN)),
        "code": (draw(k2, (HIDDEN, BITS)), jnp.zeros(BITS)),
        "read": (draw(k3, (BITS, read)), jnp.zeros(read)),
    }
    return parameters if task == "labels" else parameters | {"prior": jnp.zeros(BITS)}


def affine(layer, x):
    """Returns `x @ weight + bias`."""
    weight, bias = layer
    return x @ weight + bias


def code_logits(parameters, x):
    """Returns the logits of the code's bits, `[..., BITS]`."""
    return affine(parameters["code"], jax.nn.relu(affine(parameters["hidden"], x)))


def loss_of_labels(parameters, key, x, label):
    """How badly a linear classifier tells the class from one image's code, in nats."""
    bits = hnca.bernoulli(key, code_logits(parameters, x), values=(-1, 1), name="code")
    return optax.softmax_cross_entropy_with_integer_labels(affine(parameters["read"], bits), label)


def loss_of_images(parameters, key, x, label):
    """The negative evidence lower bound of one image, in nats; its pixels are probabilities."""
    logits, prior = code_logits(parameters, x), parameters["prior"]
    bits = hnca.bernoulli(key, logits, name="code")
    told = -jnp.sum(optax.sigmoid_binary_cross_entropy(affine(parameters["read"], bits), x))
    return -(told + jnp.sum(bits * prior - jax.nn.softplus(prior)) + jnp.sum(hnca.entropy(logits)))


LOSSES = {"labels": loss_of_labels, "images": loss_of_images}


def average_precision(asked, stored, asked_labels, stored_labels, block=500):
    """Returns the mean average precision of a search by the number of bits that differ.

    All that is equally near is found together: with `n_d` found up to distance d, `r_d` of them of the class asked for,
    the average precision is `sum_d (r_d - r_(d - 1)) r_d / n_d` by the number of that class.
    """
    total = 0.0
    signs = [(2 * stored[stored_labels == c] - 1).T.astype(np.float32) for c in range(CLASSES)]
    for start in range(0, len(asked), block):
        part, labels = 2 * asked[start : start + block].astype(np.float32) - 1, asked_labels[start : start + block]
        rows, size = np.arange(len(part)), len(part) * (BITS + 1)
        base = ((BITS + 1) * rows + BITS / 2)[:, None].astype(np.float32)
        cells = [(base - part @ of_class / 2).astype(np.int32).ravel() for of_class in signs]
        found = np.stack([np.bincount(cell, minlength=size).reshape(len(part), -1) for cell in cells])
        right = found[labels, rows]
        precision = right.cumsum(1) / np.maximum(found.sum(0).cumsum(1), 1)
        total += float(np.sum(np.sum(right * precision, axis=1) / right.sum(1)))
    return total / len(asked)


def trained(task, estimator, rate, seed, data, epochs):
    """Trains with Adam, whose rate falls along a cosine; returns parameters, the last epoch's loss and seconds."""
    images, labels = data.stored
    steps = len(images) // BATCH
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, epochs * steps))
    estimate = hnca.value_and_grad(LOSSES[task], in_axes=(None, 0, 0, 0), estimator=estimator, stateful=True)
    start_key, run_key = jax.random.split(jax.random.key(seed))
    parameters = initial(task, start_key, images.shape[1])
    images, labels = jnp.asarray(images), jnp.asarray(labels, jnp.int32)

    def update(carry, inputs):
        parameters, optimiser_state, state = carry
        key, batch = inputs
        draw_key, estimator_key = jax.random.split(key)
        keys = jax.random.split(draw_key, BATCH)
        (value, state), gradient = estimate(
            parameters, keys, images[batch], labels[batch], estimator_state=state, estimator_key=estimator_key
        )
        change, optimiser_state = optimiser.update(gradient, optimiser_state)
        return (optax.apply_updates(parameters, change), optimiser_state, state), value

    @jax.jit
    def epoch(carry, key):
        order_key, update_key = jax.random.split(key)
        order = jax.random.permutation(order_key, len(images))[: steps * BATCH].reshape(steps, BATCH)
        return jax.lax.scan(update, carry, (jax.random.split(update_key, steps), order))

    first = estimate(
        parameters, jax.random.split(run_key, BATCH), images[:BATCH], labels[:BATCH],
        estimator_state=None, estimator_key=run_key,
    )  # fmt: skip
    carry, start = (parameters, optimiser.init(parameters), first[0][1]), time.perf_counter()
    for key in jax.random.split(run_key, epochs):
        carry, values = jax.block_until_ready(epoch(carry, key))
    return carry[0], float(values.mean()), time.perf_counter() - start


def measured(task, name, rate, seed, data, epochs):
    """Returns a training's row."""
    parameters, loss, seconds = trained(task, ESTIMATORS[name], rate, seed, data, epochs)
    codes = jax.jit(lambda x: code_logits(parameters, x) > 0)
    stored = np.asarray(codes(data.stored[0]))
    found = {
        use: average_precision(np.asarray(codes(images)), stored, labels, data.stored[1])
        for use, (images, labels) in (("validation", data.validation), ("test", data.test))
    }
    setting = {"task": task, "estimator": name, "rate": rate, "seed": seed, "epochs": epochs}
    return setting | {"loss": loss, "distinct_codes": len(np.unique(stored, axis=0)), **found, "seconds": seconds}


def train(arguments):
    """Trains what has no row yet."""
    data = searched(arguments.dataset, arguments.directory)

    def row_of(task, name, rate, seed):
        key: Any = (task, name, rate, seed)
        if key not in {(r["task"], r["estimator"], r["rate"], r["seed"]) for r in rows_of(arguments.out)}:
            row = measured(*key, data, arguments.epochs)
            with arguments.out.open("a") as file:
                print(json.dumps(row), file=file)

    for task in arguments.tasks:
        for name in ESTIMATORS:
            for rate in RATES:
                row_of(task, name, rate, 0)
    for seed in range(1, arguments.seeds):
        for task in arguments.tasks:
            for name in ESTIMATORS:
                row_of(task, name, best_rate(rows_of(arguments.out), task, name), seed)


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dataset", default="fashion-mnist")
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--tasks", nargs="+", choices=list(LOSSES), default=list(LOSSES))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
