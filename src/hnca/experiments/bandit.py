"""Labelled images as a contextual bandit: an image comes, the network acts, and only the reward of that action is seen.

Young 2022, Section 1.3 and Appendix E: hidden units are -1 or 1, pixels 0 or 1 and binarised anew each epoch, the
reward is 1 for the image's label and 0 for any other action.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.conditionals import Conv, Dense, Sequential
from hnca.estimators import Estimator
from hnca.experiments.data import Facts
from hnca.experiments.data.images import Images, binarise, largest_divisor
from hnca.experiments.experiment import Credited, Experiment, Measures, Panels, straight_through
from hnca.experiments.store import Row
from hnca.network import Network
from hnca.objectives import Reward
from hnca.units import Bernoulli, Categorical, Layer

Torso = Literal["none", "conv"]

_CHANNELS = 16
_LEAST_SIDE = 5
"""What two convolutions of 3 by 3 without padding leave a pixel of."""
_TEST_CHUNKS = 10
"""At least so many, so that a tenth of the images is the most that is held at a time."""


def _panels(note: str) -> Panels:
    return Panels("train_accuracy", "test_accuracy", "accuracy", note)


class Bandit(Experiment):
    """Agents that learn labels from rewards alone."""

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
    panels = {  # noqa: RUF012
        1: _panels("Bandit"),
        4: _panels("Bandit, with running means as baselines"),
        5: _panels("Bandit, convolutional torso"),
    }
    reference = "hnca+baseline"

    def __init__(self, width: int, torso: Torso = "none", image_shape: tuple[int, int] = (28, 28), actions: int = 10):
        self._width, self._torso, self._image_shape, self._actions = width, torso, image_shape, actions

    @classmethod
    def of(cls, settings: Any, facts: Facts) -> "Bandit":
        shape = facts.image_shape
        if facts.classes is None:
            raise ValueError(f"--dataset {facts.name}: has no labels; expected labels, which the rewards are for")
        if facts.classes < 2:
            raise ValueError(f"--dataset {facts.name}: all labels are 0; expected at least two classes to choose from")
        if settings.torso == "conv" and min(shape) < _LEAST_SIDE:
            size, least = " by ".join(map(str, shape)), f"{_LEAST_SIDE} by {_LEAST_SIDE}"
            raise ValueError(f"--torso conv: images of {size} pixels; expected at least {least}")
        return cls(settings.width, settings.torso, shape, facts.classes)

    def build(self, layers: int, key: Key[Array, ""]) -> Network:
        return agent(layers, self._width, key, self._torso, self._image_shape, self._actions)

    def problem(self, trained: Network) -> tuple[Network, Reward]:
        return trained, Reward("action", jnp.zeros(()))

    def estimate(
        self,
        trained: Network,
        estimator: Estimator,
        batch: Images,
        keys: tuple[Key[Array, ""], Key[Array, ""]],
        state: PyTree,
    ) -> Credited:
        trace = trained.sample(keys[0], {"image": batch.pixels})
        reward = (trace["action"][:, 0] == batch.labels).astype(trained.dtype)
        estimate = estimator(trained, Reward("action", reward), trace, key=keys[1], state=state)
        return Credited(trained, estimate, estimate.credits, estimate.gradient, {})

    def test(self, trained: Network, images: Images, key: Key[Array, ""]) -> Measures:
        return {"test_accuracy": sampled_accuracy(trained, images, key)}

    def differentiable(self, trained: Network, batch: Images, key: Key[Array, ""]) -> Float[Array, ""]:
        """The probability of the label, which a bandit's reward does not tell."""
        hidden = {name: layer for name, layer in trained.layers.items() if name != "action"}
        trace = straight_through(Network(hidden, dict(trained.inputs)), key, {"image": batch.pixels})
        probabilities = jax.nn.softmax(trained.layer_logits(trace.values, "action", trace.batch_shape)[:, 0])
        return jnp.mean(jnp.take_along_axis(probabilities, batch.labels[:, None], axis=-1))

    def identity(self) -> dict[str, str]:
        return {"torso": self._torso}

    @classmethod
    def figures(cls, rows: Sequence[Row]) -> tuple[int, ...]:
        if any(row.about.get("torso") == "conv" for row in rows):
            return (5,)
        return (4,) if all("+" in row.estimator for row in rows) else (1,)


def sampled_accuracy(network: Network, images: Images, key: Key[Array, ""]) -> Float[Array, ""]:
    """Returns the share of sampled actions that are right, a tenth of the images or fewer at a time."""

    def chunk(part: tuple[Images, Key[Array, ""]]) -> Float[Array, ""]:
        (pixels, labels), part_key = part
        binarise_key, sample_key = jax.random.split(part_key)
        trace = network.sample(sample_key, {"image": binarise(binarise_key, pixels)})
        return jnp.mean((trace["action"][:, 0] == labels).astype(network.dtype))

    count = len(images.labels)
    parts = count // largest_divisor(count, max(1, count // _TEST_CHUNKS))
    chunks = jax.tree.map(lambda a: a.reshape(parts, -1, *a.shape[1:]), images)
    return jnp.mean(jax.lax.map(chunk, (chunks, jax.random.split(key, parts))))


def agent(
    layers: int,
    width: int,
    key: Key[Array, ""],
    torso: Torso = "none",
    image_shape: tuple[int, int] = (28, 28),
    actions: int = 10,
) -> Network:
    """Returns the paper's agent: `layers` layers of `width` units of -1 or 1, then a softmax over the actions.

    With a torso, the first of them reads what two layers of convolutions make of the image (Appendix F).
    """
    keys = jax.random.split(key, layers + 1)
    network: dict[str, Layer] = {}
    pixels = math.prod(image_shape)
    parent, size = "image", pixels
    for place in range(layers):
        name = f"hidden{place + 1}"
        of_image = torso == "conv" and parent == "image"
        affine = Dense(parent, size, width, key=keys[place])
        conditional = _convolved(image_shape, width, keys[place]) if of_image else affine
        network[name] = Bernoulli(conditional, values=(-1, 1))
        parent, size = name, width
    network["action"] = Categorical(Dense(parent, size, actions, key=keys[-1]))
    return Network(network, inputs={"image": pixels})


def _convolved(image_shape: tuple[int, int], width: int, key: Key[Array, ""]) -> Sequential:
    """Two 3x3 convolutions of 16 channels without padding, each rectified, then a dense map."""
    k1, k2, k3 = jax.random.split(key, 3)
    first = _fan_in(Conv("image", (*image_shape, 1), _CHANNELS, 3, key=k1), k1)
    second = _fan_in(Conv("previous", first.out_shape, _CHANNELS, 3, key=k2), k2)
    head = Dense("previous", second.out_features, width, key=k3)
    return Sequential(first, jax.nn.relu, second, jax.nn.relu, head)


def _fan_in(conv: Conv, key: Key[Array, ""]) -> Conv:
    """Returns the convolution with weights of a truncated normal distribution of scale `fan_in ** -0.5`."""
    shape = conv.weight.shape
    weight = jax.random.truncated_normal(key, -2, 2, shape, conv.weight.dtype) / math.prod(shape[:-1]) ** 0.5
    return eqx.tree_at(lambda c: c.weight, conv, weight)
