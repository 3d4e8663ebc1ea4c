"""MNIST as a contextual bandit: an image comes, the network acts, and only the reward of that action is seen.

Young 2022, Section 1.3 and Appendix E: hidden units are -1 or 1, pixels 0 or 1 and binarised anew each epoch, the
reward is 1 for the image's label and 0 for any other action.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from hnca.conditionals import Conv, Dense, Sequential
from hnca.data.binarise import binarise
from hnca.estimators import Estimator
from hnca.experiments.experiment import Experiment, Measures
from hnca.experiments.figures import draw_figure_1, draw_figure_5
from hnca.experiments.images import PIXELS, Images
from hnca.experiments.records import Row
from hnca.network import Network
from hnca.objectives import Objective, Reward
from hnca.training import TrainingState, apply_gradient
from hnca.units import Bernoulli, Categorical, Layer
from hnca.variance import mean_gradient_variance

ACTIONS = 10
_CHANNELS = 16
_TEST_CHUNKS = 10


Torso = Literal["none", "conv"]


class Bandit(Experiment):
    """Agents that learn MNIST from rewards alone."""

    name = "bandit"
    units = "hidden"
    train_fields = ("train_accuracy",)
    test_fields = ("test_accuracy",)
    headings = {  # noqa: RUF012
        "train_accuracy": "train accuracy",
        "test_accuracy": "test accuracy",
        "log_gradient_variance": "ln variance",
    }
    digits = 4

    def __init__(self, width: int, torso: Torso = "none"):
        self._width, self._torso = width, torso

    def build(self, layers: int, key: Key[Array, ""]) -> Network:
        return agent(layers, self._width, key, self._torso)

    def estimator_state(self, trained: Network, method: Estimator) -> PyTree:
        return method.init(trained, Objective(Reward("action", jnp.zeros(()))))

    def update(
        self,
        static: Network,
        method: Estimator,
        optimiser: optax.GradientTransformation,
        images: Images,
        state: TrainingState,
        batch: Int[Array, " batch"],
        key: Key[Array, ""],
    ) -> tuple[TrainingState, Measures]:
        binarise_key, sample_key, estimator_key = jax.random.split(key, 3)
        network = eqx.combine(state.parameters, static)
        pixels = binarise(binarise_key, images.pixels[batch])
        trace = network.sample(sample_key, {"image": pixels})
        reward = (trace["action"][:, 0] == images.labels[batch]).astype(network.dtype)
        estimate = method(network, Reward("action", reward), trace, key=estimator_key, state=state.estimator)
        variance = mean_gradient_variance(network, trace, estimate.credits, estimate.gradient)
        gradient = eqx.filter(estimate.gradient, eqx.is_inexact_array)
        measures = {"train_accuracy": jnp.mean(reward), "gradient_variance": variance}
        return apply_gradient(state, gradient, estimate.state, optimiser), measures

    def test(self, trained: Network, images: Images, key: Key[Array, ""]) -> Measures:
        return {"test_accuracy": sampled_accuracy(trained, images, key)}

    def identity(self, method: str) -> Row:
        kind, plus, _ = method.partition("+")
        return {"estimator": kind, "baseline": "running mean" if plus else "none", "torso": self._torso}

    def draw_figures(self, rows: Sequence[Row], directory: Path) -> list[Path]:
        return draw_figure_5(rows, directory) if self._torso == "conv" else draw_figure_1(rows, directory)


def agent(layers: int, width: int, key: Key[Array, ""], torso: Torso = "none") -> Network:
    """Returns the paper's agent: `layers` layers of `width` units of -1 or 1, then a softmax over ten actions.

    With a torso, the first of them reads what two layers of convolutions make of the image (Appendix F).
    """
    keys = jax.random.split(key, layers + 1)
    network: dict[str, Layer] = {}
    parent, size = "image", PIXELS
    for depth in range(layers):
        name = f"hidden{depth + 1}"
        of_image = torso == "conv" and parent == "image"
        conditional = _convolved(width, keys[depth]) if of_image else Dense(parent, size, width, key=keys[depth])
        network[name] = Bernoulli(conditional, values=(-1, 1))
        parent, size = name, width
    network["action"] = Categorical(Dense(parent, size, ACTIONS, key=keys[-1]))
    return Network(network, inputs={"image": PIXELS})


def _convolved(width: int, key: Key[Array, ""]) -> Sequential:
    """Two 3x3 convolutions of 16 channels without padding, each rectified, then a dense map."""
    k1, k2, k3 = jax.random.split(key, 3)
    first = _fan_in(Conv("image", (28, 28, 1), _CHANNELS, 3, key=k1), k1)
    second = _fan_in(Conv("previous", first.out_shape, _CHANNELS, 3, key=k2), k2)
    head = Dense("previous", second.out_features, width, key=k3)
    return Sequential(first, jax.nn.relu, second, jax.nn.relu, head)


def _fan_in(conv: Conv, key: Key[Array, ""]) -> Conv:
    """Returns the convolution with weights of a truncated normal distribution of scale `fan_in ** -0.5`."""
    shape = conv.weight.shape
    weight = jax.random.truncated_normal(key, -2, 2, shape, conv.weight.dtype) / math.prod(shape[:-1]) ** 0.5
    return eqx.tree_at(lambda c: c.weight, conv, weight)


def sampled_accuracy(network: Network, images: Images, key: Key[Array, ""]) -> Float[Array, ""]:
    """Returns the share of sampled actions that are right, a tenth of the images at a time."""

    def chunk(part: tuple[Images, Key[Array, ""]]) -> Float[Array, ""]:
        (pixels, labels), part_key = part
        binarise_key, sample_key = jax.random.split(part_key)
        trace = network.sample(sample_key, {"image": binarise(binarise_key, pixels)})
        return jnp.mean((trace["action"][:, 0] == labels).astype(network.dtype))

    chunks = jax.tree.map(lambda a: a.reshape(_TEST_CHUNKS, -1, *a.shape[1:]), images)
    return jnp.mean(jax.lax.map(chunk, (chunks, jax.random.split(key, _TEST_CHUNKS))))
