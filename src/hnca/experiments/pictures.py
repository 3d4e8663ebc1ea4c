"""Pictures of what an auto-encoder makes: samples from its prior, and reconstructions beside their originals."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key
from matplotlib.image import imsave

from hnca.data.binarise import binarise
from hnca.experiments.images import Images
from hnca.network import Network

_ROWS, _COLUMNS = 8, 16


def draw_samples(decoder: Network, key: Key[Array, ""], path: Path) -> Path:
    """Draws images that the decoder generates from its prior: the pixels' probabilities given sampled latents."""
    trace = decoder.sample(key, {}, (_ROWS * _COLUMNS,))
    means = decoder.layers["image"].mean(trace.logits["image"])
    return _save_grid(means.reshape(_ROWS, _COLUMNS, -1), path)


def draw_reconstructions(encoder: Network, decoder: Network, images: Images, key: Key[Array, ""], path: Path) -> Path:
    """Draws, in pairs of rows, binarised originals and below them the decoder's pixel probabilities given their code.

    Only the code's first layer matters for the pixels, and it is sampled from the encoder.
    """
    binarise_key, sample_key = jax.random.split(key)
    count = min(_ROWS // 2 * _COLUMNS, len(images.pixels) // _COLUMNS * _COLUMNS)
    originals = binarise(binarise_key, images.pixels[:count])
    trace = encoder.sample(sample_key, {"image": originals})
    layer = decoder.layers["image"]
    features = tuple(decoder.features(trace.values, parent) for parent in layer.conditional.parents)
    means = layer.mean(layer.logits(features, (count,)))
    pairs = jnp.stack([a.reshape(-1, _COLUMNS, a.shape[-1]) for a in (originals, means)], axis=1)
    return _save_grid(pairs.reshape(-1, _COLUMNS, means.shape[-1]), path)


def _save_grid(images: Array, path: Path) -> Path:
    """Writes images `[rows, columns, pixels]` side by side, ink dark on white, a line of grey between them."""
    rows, columns, pixels = images.shape
    side = round(pixels**0.5)
    grid = np.pad(
        np.asarray(images).reshape(rows, columns, side, side), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=0.3
    )
    flat = grid.transpose(0, 2, 1, 3).reshape(rows * (side + 1), columns * (side + 1))
    enlarged = np.kron(flat, np.ones((2, 2)))
    imsave(path, 1 - enlarged, cmap="gray", vmin=0, vmax=1)
    return path
