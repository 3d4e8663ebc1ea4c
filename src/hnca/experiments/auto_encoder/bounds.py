"""What an auto-encoder makes of test images: bounds on their likelihood, and the units that are in use."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from hnca.experiments.auto_encoder.networks import AutoEncoder, reconstructions
from hnca.experiments.data.images import Images, binarise, largest_divisor
from hnca.network import Network, Trace
from hnca.objectives import ELBO, Objective
from hnca.units import Categorical, Layer

_IMAGES_AT_A_TIME = 100
_SAMPLES_AT_A_TIME = 10
_LEAST_VARIANCE = 0.01
"""Of a unit in use, as Burda, Grosse and Salakhutdinov 2016 count them."""


def bound_parts(trained: AutoEncoder, trace: Trace) -> dict[str, Float[Array, ""]]:
    """Returns the `elbo`, its `reconstruction` and its `kl`, which is the former less the first, mean over a trace.

    Args:
        trained: the encoder, and the bound.
        trace: of the encoder; of several passes their mean is taken.
    """
    encoder, objective = trained
    scored = Objective(*reconstructions(objective, encoder))
    elbo, reconstruction = (jnp.mean(of.value(encoder, trace)) for of in (objective, scored))
    return {"elbo": elbo, "reconstruction": reconstruction, "kl": reconstruction - elbo}


def test_measures(trained: AutoEncoder, images: Images, samples: int, key: Key[Array, ""]) -> Mapping[str, Array]:
    """Returns what is measured on the test images, freshly binarised, by name, in nats an image.

    `bound_parts` of one sample each; `bound`, the importance-weighted one; and `active_units`, how many units of all
    layers have a probability (of any category), given the image or the sampled layers below, whose variance over the
    images is above 0.01.

    Args:
        trained: the encoder, and the bound.
        images: the test images.
        samples: how many the importance-weighted bound takes for every image.
        key: for binarisation and samples.
    """
    encoder, objective = trained
    size = largest_divisor(len(images.pixels), _IMAGES_AT_A_TIME)

    def chunk(part: tuple[Array, Key[Array, ""]]) -> tuple[dict[str, Array], list[Array]]:
        pixels, part_key = part
        binarise_key, elbo_key, bound_key = jax.random.split(part_key, 3)
        inputs = {"image": binarise(binarise_key, pixels)}
        trace = encoder.sample(elbo_key, inputs)
        bound = importance_weighted_bound(encoder, objective, inputs, samples, bound_key)
        means = [_probabilities(layer, trace.logits[name]) for name, layer in encoder.layers.items()]
        return {**bound_parts(trained, trace), "bound": jnp.mean(bound)}, means

    parts = images.pixels.reshape(-1, size, images.pixels.shape[-1])
    measured, means = jax.lax.map(chunk, (parts, jax.random.split(key, len(parts))))
    active = [jnp.sum(jnp.any(jnp.var(layer, axis=(0, 1)) > _LEAST_VARIANCE, axis=-1)) for layer in means]
    return {**jax.tree.map(jnp.mean, measured), "active_units": jnp.sum(jnp.stack(active)).astype(encoder.dtype)}


def _probabilities(layer: Layer, logits: Float[Array, "*logits"]) -> Float[Array, "*batch units alternatives"]:
    """Returns what a unit's probabilities are: of a binary one that of its upper value."""
    return jax.nn.softmax(logits) if isinstance(layer, Categorical) else jax.nn.sigmoid(logits)[..., None]


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
