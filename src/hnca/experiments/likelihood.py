"""How good an auto-encoder is on test images: the evidence lower bound, and the tighter one of many samples."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from hnca.data.binarise import binarise
from hnca.experiments.images import Images, largest_divisor
from hnca.network import Network
from hnca.objectives import ELBO

_IMAGES_AT_A_TIME = 100
_SAMPLES_AT_A_TIME = 10


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
