"""Images by hierarchical variational auto-encoders with binary latent layers (Young 2022, Section 2).

Latent units are 0 or 1, pixels 0 or 1 and binarised anew each epoch, entropies analytic, the prior of the deepest
layer learned. Encoder and decoder are trained together, the decoder by its ordinary gradient.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from hnca.conditionals import Dense, Free, Sequential
from hnca.estimators import Estimator, direct_credits
from hnca.experiments.data import Facts
from hnca.experiments.data.images import Images, binarise, largest_divisor
from hnca.experiments.experiment import Credited, Experiment, Measures, Panels, straight_through
from hnca.experiments.methods import is_ablation
from hnca.experiments.store import Row
from hnca.network import Network
from hnca.objectives import ELBO, Entropy, SampledEntropy
from hnca.units import Bernoulli, Conditional, Layer

Joint = Literal["linear", "nonlinear"]
EntropyKind = Literal["analytic", "sampled"]
AutoEncoder = tuple[Network, ELBO]
"""The encoder, and the bound with the decoder in it."""

_IMAGES_AT_A_TIME = 100
_SAMPLES_AT_A_TIME = 10


def _is_ablation(row: Row) -> bool:
    return is_ablation(row.estimator)


def _panels(note: str, shows: Callable[[Row], bool]) -> Panels:
    return Panels("train_elbo", "test_elbo", "ELBO (nats)", note, shows)


class VAE(Experiment):
    """Hierarchical auto-encoders trained on the evidence lower bound."""

    name = "vae"
    units = "latent"
    train_fields = ("train_elbo",)
    test_fields = ("test_elbo", "test_bound")
    headings = {  # noqa: RUF012
        "train_elbo": "train ELBO",
        "test_elbo": "test ELBO",
        "test_bound": "test bound",
        "log_gradient_variance": "ln variance",
    }
    digits = 2
    panels = {  # noqa: RUF012
        3: _panels("VAE", lambda row: not _is_ablation(row)),
        6: _panels("VAE, ablations of HNCA", lambda row: row.estimator.startswith("hnca")),
    }
    reference = "loo-hnca"

    def __init__(
        self,
        width: int,
        bound_samples: int,
        encoder: Joint = "linear",
        decoder: Joint = "linear",
        entropy: EntropyKind = "analytic",
        image_shape: tuple[int, int] = (28, 28),
    ):
        self._image_shape = image_shape
        self._width, self._bound_samples, self._entropy = width, bound_samples, entropy
        self._joints: tuple[Joint, Joint] = encoder, decoder

    @classmethod
    def of(cls, settings: Any, facts: Facts) -> "VAE":
        joints = settings.encoder, settings.decoder
        return cls(settings.width, settings.bound_samples, *joints, settings.entropy, facts.image_shape)

    def build(self, layers: int, key: Key[Array, ""]) -> AutoEncoder:
        return auto_encoder(layers, self._width, key, *self._joints, self._entropy, self._image_shape)

    def problem(self, trained: AutoEncoder) -> AutoEncoder:
        return trained

    def estimate(
        self,
        trained: AutoEncoder,
        estimator: Estimator,
        batch: Images,
        keys: tuple[Key[Array, ""], Key[Array, ""]],
        state: PyTree,
    ) -> Credited:
        encoder, objective = trained
        trace = encoder.sample(keys[0], {"image": batch.pixels})
        estimate = estimator(encoder, objective, trace, key=keys[1], state=state)
        direct = direct_credits(encoder, objective, estimate.trace, estimate.weights)
        credits = jax.tree.map(jnp.add, estimate.credits, direct)
        return Credited(encoder, estimate, credits, (estimate.gradient, estimate.objective_gradient))

    def test(self, trained: AutoEncoder, images: Images, key: Key[Array, ""]) -> Measures:
        elbo, bound = test_likelihood(*trained, images, self._bound_samples, key)
        return {"test_elbo": elbo, "test_bound": bound}

    def differentiable(self, trained: AutoEncoder, batch: Images, key: Key[Array, ""]) -> Float[Array, ""]:
        encoder, objective = trained
        return jnp.mean(objective.value(encoder, straight_through(encoder, key, {"image": batch.pixels})))

    def identity(self) -> dict[str, str]:
        encoder, decoder = self._joints
        return {"encoder": encoder, "decoder": decoder, "entropy": self._entropy}

    @classmethod
    def figures(cls, rows: Sequence[Row]) -> tuple[int, ...]:
        return (3, 6) if any(map(_is_ablation, rows)) else (3,)

    def draw_pictures(self, trained: AutoEncoder, images: Images, directory: Path) -> list[Path]:
        # Here, since a trained network can be loaded without what draws.
        from hnca.experiments.figures.pictures import Grid, draw_reconstructions, draw_samples

        encoder, objective = trained
        grid = Grid(self._image_shape)
        reconstructions = directory / "reconstructions.png"
        return [
            draw_samples(objective.decoder, jax.random.key(0), directory / "samples.png", grid),
            draw_reconstructions(encoder, objective.decoder, images, jax.random.key(1), reconstructions, grid),
        ]


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
    for place, layer_key in enumerate(jax.random.split(key, layers), start=1):
        up_key, down_key = jax.random.split(layer_key)
        above = f"latent{place}"
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


def test_likelihood(
    encoder: Network, objective: ELBO, images: Images, samples: int, key: Key[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns the ELBO and the importance-weighted bound, in nats an image, mean over freshly binarised images.

    The ELBO is that of the first sample, with analytic entropies.

    Args:
        encoder: the encoder.
        objective: the bound it was trained on.
        images: the test images.
        samples: how many the importance-weighted bound takes for every image.
        key: for binarisation and samples.
    """
    size = largest_divisor(len(images.pixels), _IMAGES_AT_A_TIME)

    def chunk(part: tuple[Array, Key[Array, ""]]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        pixels, part_key = part
        binarise_key, elbo_key, bound_key = jax.random.split(part_key, 3)
        inputs = {"image": binarise(binarise_key, pixels)}
        elbo = objective.value(encoder, encoder.sample(elbo_key, inputs))
        bound = importance_weighted_bound(encoder, objective, inputs, samples, bound_key)
        return jnp.mean(elbo), jnp.mean(bound)

    parts = images.pixels.reshape(-1, size, images.pixels.shape[-1])
    elbos, bounds = jax.lax.map(chunk, (parts, jax.random.split(key, len(parts))))
    return jnp.mean(elbos), jnp.mean(bounds)


def importance_weighted_bound(
    encoder: Network, objective: ELBO, inputs: dict[str, Array], samples: int, key: Key[Array, ""]
) -> Float[Array, "*batch"]:
    """Returns `log 1/K sum_k p(x, z_k) / q(z_k | x)` with `z_k` from the encoder, for every example, in nats.

    Never below the ELBO and never above `log p(x)`, in expectation. A few of the `samples` are held at a time.

    Args:
        encoder: `q`.
        objective: has `p`.
        inputs: `[*batch, ...]` each.
        samples: K.
        key: for the samples.

    Source: Burda, Grosse and Salakhutdinov, *Importance weighted autoencoders*, 2016, Eq 8.
    """

    def log_weight(sample_key: Key[Array, ""]) -> Float[Array, "*batch"]:
        return objective.log_weight(encoder, encoder.sample(sample_key, inputs))

    log_weights = jax.lax.map(log_weight, jax.random.split(key, samples), batch_size=min(samples, _SAMPLES_AT_A_TIME))
    return jax.nn.logsumexp(log_weights, axis=0) - np.log(samples)
