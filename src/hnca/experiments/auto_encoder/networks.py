"""Hierarchical auto-encoders of binary latent layers (Young 2022, Section 2), or of categorical ones: the networks."""

import math
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca.conditionals import Dense, Free, Sequential
from hnca.network import Network
from hnca.objectives import ELBO, Entropy, LogProb, SampledEntropy
from hnca.units import Bernoulli, Categorical, Conditional, Layer

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
    categories: int | None = None,
    values: tuple[int, int] = (0, 1),
) -> AutoEncoder:
    """Returns the paper's auto-encoder: `layers` latent layers of `width` units of two values or of categories.

    The encoder goes image -> latent1 -> latent2 ..., the decoder the other way round, from a learned prior. Layers are
    joined by an affine map or, if nonlinear, by two deterministic layers between them, with a leaky rectifier for every
    logit of a latent layer.
    """
    encoder: dict[str, Layer] = {}
    decoder: dict[str, Layer] = {}
    pixels, logits = math.prod(image_shape), width * (categories or 1)
    below, size = "image", pixels
    layer_below: Callable[[Conditional], Layer] = Bernoulli

    def latent(conditional: Conditional) -> Layer:
        return Bernoulli(conditional, values) if categories is None else Categorical(conditional, categories)

    for place, layer_key in enumerate(jax.random.split(key, layers), start=1):
        up_key, down_key = jax.random.split(layer_key)
        above = f"latent{place}"
        encoder[above] = latent(_joined(encoder_joint, below, (size, logits), logits, up_key))
        decoder[below] = layer_below(_joined(decoder_joint, above, (logits, size), logits, down_key))
        below, size, layer_below = above, logits, latent
    decoder[below] = latent(Free(logits))
    network = Network(encoder, inputs={"image": pixels})
    return network, ELBO(network, Network(decoder), _ENTROPIES[entropy])


def reconstructions(bound: ELBO, encoder: Network) -> list[LogProb]:
    """Returns the terms of a bound that score what is given to the encoder."""
    return [term for term in bound.components if isinstance(term, LogProb) and scores_input(term, encoder)]


def scores_input(term: LogProb, encoder: Network) -> bool:
    """Returns whether a term scores what is given to the encoder, no layer of it."""
    return term.value_name not in encoder.layers


def with_scaled_logits(trained: AutoEncoder, scale: float) -> AutoEncoder:
    """Returns the auto-encoder with the weights that give the encoder's logits multiplied by a number."""
    encoder, objective = trained

    def weights(network: Network) -> list[Any]:  # what `eqx.tree_at` gives it is no array
        return [_last(layer.conditional).weights[0] for layer in network.layers.values()]

    return eqx.tree_at(weights, encoder, [scale * weight for weight in weights(encoder)]), objective


class Centred(Conditional):
    """A conditional of its one parent less constant means.

    Attributes:
        means: of the parent's features. They are not learned.
        of_centred: what reads the differences.
    """

    means: Float[Array, " features"]
    of_centred: Conditional
    parents: tuple[str, ...] = eqx.field(static=True)
    parent_sizes: tuple[int | None, ...] = eqx.field(static=True)
    out_features: int = eqx.field(static=True)

    def __init__(self, of_centred: Conditional, means: Float[Array, " features"]):
        """Args:
        of_centred: a conditional of one parent.
        means: what its features are less.
        """
        self.of_centred, self.means = of_centred, means
        self.parents, self.parent_sizes = of_centred.parents, of_centred.parent_sizes
        self.out_features = of_centred.out_features

    def __call__(self, features: tuple[Array, ...], batch_shape: tuple[int, ...]) -> Array:
        (parent,) = features
        means = jax.lax.stop_gradient(self.means).reshape((1,) * len(batch_shape) + self.means.shape)
        return self.of_centred((parent.reshape(*batch_shape, -1) - means,), batch_shape)


def centred(trained: AutoEncoder, means: Float[Array, " pixels"]) -> AutoEncoder:
    """Returns the auto-encoder with an encoder that reads the pixels less these means."""
    encoder, objective = trained
    return eqx.tree_at(_lowest, encoder, Centred(_lowest(encoder), means)), objective


def with_means(trained: AutoEncoder, means: Float[Array, " pixels"]) -> AutoEncoder:
    """Returns the auto-encoder, which is centred, with other means."""
    encoder, objective = trained
    return eqx.tree_at(lambda of: _lowest(of).means, encoder, means), objective


def _lowest(encoder: Network) -> Any:
    return encoder.layers["latent1"].conditional


def with_output_bias(trained: AutoEncoder, means: Float[Array, " pixels"]) -> AutoEncoder:
    """Returns the auto-encoder with the biases of its decoder's pixels at the logits of these means, 0.001 to 0.999."""
    encoder, objective = trained

    def bias(bound: ELBO) -> Any:
        (scored,) = reconstructions(bound, encoder)
        return _last(scored.layer.conditional).bias

    share = jnp.clip(means, 0.001, 0.999)
    return encoder, eqx.tree_at(bias, objective, jnp.log(share) - jnp.log1p(-share))


def _last(conditional: Conditional) -> Dense:
    """Returns the affine map that gives the logits."""
    conditional = conditional.of_centred if isinstance(conditional, Centred) else conditional
    last = conditional.rest[-1] if isinstance(conditional, Sequential) else conditional
    assert isinstance(last, Dense)
    return last


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
