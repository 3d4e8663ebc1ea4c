"""MNIST as a contextual bandit: an image comes, the network acts, and only the reward of that action is seen.

Young 2022, Section 1.3 and Appendix E: hidden units are -1 or 1, pixels 0 or 1 and binarised anew each epoch, the
reward is 1 for the image's label and 0 for any other action.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, UInt8

from hnca.baselines import RunningMean
from hnca.conditionals import Dense
from hnca.data.binarise import binarise
from hnca.estimators import HNCA, REINFORCE, Estimator
from hnca.experiments.settings import BanditSettings
from hnca.network import Network
from hnca.objectives import Objective, Reward
from hnca.training import TrainingState, apply_gradient, ascent, initial_state, train_epoch
from hnca.units import Bernoulli, Categorical, Layer
from hnca.variance import mean_gradient_variance

PIXELS, ACTIONS = 784, 10
_TEST_CHUNKS = 10


class Images(NamedTuple):
    """Images and their labels, on the device."""

    pixels: UInt8[Array, "images pixels"]
    labels: Int[Array, " images"]


class EpochMetrics(NamedTuple):
    """What is measured in an epoch, one number a seed.

    Attributes:
        train_accuracy: share of the actions that were right while training, units and actions sampled.
        test_accuracy: the same on freshly binarised test images after the epoch.
        gradient_variance: biased variance over a batch's per-example gradients, mean over parameters and updates.
    """

    train_accuracy: Float[Array, " seeds"]
    test_accuracy: Float[Array, " seeds"]
    gradient_variance: Float[Array, " seeds"]


def agent(layers: int, width: int, key: Key[Array, ""]) -> Network:
    """Returns the paper's agent: `layers` layers of `width` units of -1 or 1, then a softmax over ten actions."""
    keys = jax.random.split(key, layers + 1)
    network: dict[str, Layer] = {}
    parent, size = "image", PIXELS
    for depth in range(layers):
        name = f"hidden{depth + 1}"
        network[name] = Bernoulli(Dense(parent, size, width, key=keys[depth]), values=(-1, 1))
        parent, size = name, width
    network["action"] = Categorical(Dense(parent, size, ACTIONS, key=keys[-1]))
    return Network(network, inputs={"image": PIXELS})


def estimator(name: str, baseline: bool) -> Estimator:
    """Returns an estimator by its name on the command line."""
    return {"hnca": HNCA, "reinforce": REINFORCE}[name](RunningMean() if baseline else None)


def update(
    static: Network,
    method: Estimator,
    optimiser: optax.GradientTransformation,
    images: Images,
    state: TrainingState,
    batch: Int[Array, " batch"],
    key: Key[Array, ""],
) -> tuple[TrainingState, tuple[Float[Array, ""], Float[Array, ""]]]:
    """Acts on one batch, learns from its rewards, and returns the new state, the accuracy and the variance."""
    binarise_key, sample_key, estimator_key = jax.random.split(key, 3)
    network = eqx.combine(state.parameters, static)
    pixels = binarise(binarise_key, images.pixels[batch])
    trace = network.sample(sample_key, {"image": pixels})
    reward = (trace["action"][:, 0] == images.labels[batch]).astype(network.dtype)
    estimate = method(network, Reward("action", reward), trace, key=estimator_key, state=state.estimator)
    variance = mean_gradient_variance(network, trace, estimate.credits, estimate.gradient)
    gradient = eqx.filter(estimate.gradient, eqx.is_inexact_array)
    return apply_gradient(state, gradient, estimate.state, optimiser), (jnp.mean(reward), variance)


def sampled_accuracy(network: Network, images: Images, key: Key[Array, ""]) -> Float[Array, ""]:
    """Returns the share of sampled actions that are right, a tenth of the images at a time."""

    def chunk(part: tuple[Images, Key[Array, ""]]) -> Float[Array, ""]:
        (pixels, labels), part_key = part
        binarise_key, sample_key = jax.random.split(part_key)
        trace = network.sample(sample_key, {"image": binarise(binarise_key, pixels)})
        return jnp.mean((trace["action"][:, 0] == labels).astype(network.dtype))

    chunks = jax.tree.map(lambda a: a.reshape(_TEST_CHUNKS, -1, *a.shape[1:]), images)
    return jnp.mean(jax.lax.map(chunk, (chunks, jax.random.split(key, _TEST_CHUNKS))))


def train(
    settings: BanditSettings, layers: int, method: Estimator, train_images: Images, test_images: Images
) -> Iterator[EpochMetrics]:
    """Trains one agent a seed, all together, and yields the measurements of each epoch as it ends.

    Args:
        settings: sizes, rates and counts.
        layers: how many hidden layers.
        method: the estimator.
        train_images: every image is seen once an epoch, in a fresh order.
        test_images: what the test accuracy is measured on.
    """
    optimiser = ascent(settings.learning_rate)
    keys = jax.vmap(jax.random.key)(jnp.arange(settings.seeds))
    networks = jax.vmap(lambda key: agent(layers, settings.width, jax.random.fold_in(key, 0)))(keys)
    static = eqx.filter(networks, eqx.is_inexact_array, inverse=True)
    objective = Objective(Reward("action", jnp.zeros(())))
    states = jax.vmap(lambda network: initial_state(network, objective, method, optimiser))(networks)

    @partial(jax.jit, donate_argnums=0)
    @partial(jax.vmap, in_axes=(0, 0, None, None))
    def epoch(
        state: TrainingState, key: Key[Array, ""], train_set: Images, test_set: Images
    ) -> tuple[TrainingState, EpochMetrics]:
        train_key, test_key = jax.random.split(key)
        step = partial(update, static, method, optimiser, train_set)
        state, (accuracy, variance) = train_epoch(step, state, train_key, len(train_set.labels), settings.batch_size)
        network = eqx.combine(state.parameters, static)
        return state, EpochMetrics(accuracy, sampled_accuracy(network, test_set, test_key), variance)

    for number in range(1, settings.epochs + 1):
        epoch_keys = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)  # noqa: B023
        states, metrics = epoch(states, epoch_keys, train_images, test_images)
        yield jax.block_until_ready(metrics)
