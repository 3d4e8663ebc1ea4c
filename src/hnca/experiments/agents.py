"""The networks that act: stochastic hidden layers, then a choice among the actions."""

import math
from typing import Literal

import equinox as eqx
import jax
from jaxtyping import Array, Key

from hnca.conditionals import Conv, Dense, Sequential
from hnca.network import Network
from hnca.units import Bernoulli, Categorical, Layer

_CHANNELS = 16

Torso = Literal["none", "conv"]


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
    for depth in range(layers):
        name = f"hidden{depth + 1}"
        of_image = torso == "conv" and parent == "image"
        affine = Dense(parent, size, width, key=keys[depth])
        conditional = _convolved(image_shape, width, keys[depth]) if of_image else affine
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
