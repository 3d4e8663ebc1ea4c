"""Hierarchical auto-encoders with binary latent layers: an encoder, and the bound with the decoder in it."""

import math
from typing import Literal

import jax
from jaxtyping import Array, Key

from hnca.conditionals import Dense, Free, Sequential
from hnca.network import Network
from hnca.objectives import ELBO, Entropy, SampledEntropy
from hnca.units import Bernoulli, Conditional, Layer

Joint = Literal["linear", "nonlinear"]
EntropyKind = Literal["analytic", "sampled"]
AutoEncoder = tuple[Network, ELBO]
"""The encoder, and the bound with the decoder in it."""


def auto_encoder(
    layers: int,
    width: int,
    key: Key[Array, ""],
    encoder_joint: Joint = "linear",
    decoder_joint: Joint = "linear",
    entropy: EntropyKind = "analytic",
    image_shape: tuple[int, int] = (28, 28),
) -> AutoEncoder:
    """Returns the paper's auto-encoder: `layers` latent layers of `width` units of 0 or 1.

    The encoder goes image -> latent1 -> latent2 ..., the decoder the other way round, from a learned prior. Layers are
    joined by an affine map or, if nonlinear, by two deterministic layers of `width` leaky rectifiers between them.
    """
    encoder: dict[str, Layer] = {}
    decoder: dict[str, Layer] = {}
    pixels = math.prod(image_shape)
    below, size = "image", pixels
    for depth, layer_key in enumerate(jax.random.split(key, layers), start=1):
        up_key, down_key = jax.random.split(layer_key)
        above = f"latent{depth}"
        encoder[above] = Bernoulli(_joined(encoder_joint, below, (size, width), width, up_key))
        decoder[below] = Bernoulli(_joined(decoder_joint, above, (width, size), width, down_key))
        below, size = above, width
    decoder[below] = Bernoulli(Free(width))
    network = Network(encoder, inputs={"image": pixels})
    return network, ELBO(network, Network(decoder), _ENTROPIES[entropy])


_ENTROPIES = {"analytic": Entropy, "sampled": SampledEntropy}


def _joined(joint: Joint, parent: str, sizes: tuple[int, int], width: int, key: Key[Array, ""]) -> Conditional:
    in_features, out_features = sizes
    if joint == "linear":
        return Dense(parent, in_features, out_features, key=key)
    k1, k2, k3 = jax.random.split(key, 3)
    return Sequential(
        Dense(parent, in_features, width, key=k1),
        _leaky_relu,
        Dense("previous", width, width, key=k2),
        _leaky_relu,
        Dense("previous", width, out_features, key=k3),
    )


def _leaky_relu(x: Array) -> Array:
    """With the slope that the DisARM and ARM papers use."""
    return jax.nn.leaky_relu(x, 0.3)
