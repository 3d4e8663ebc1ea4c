"""Pictures of what networks make: samples from a prior, reconstructions and completions beside their originals."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key
from matplotlib.image import imsave

from hnca.experiments.data.images import Images, binarise
from hnca.experiments.files import write_atomically
from hnca.network import Network

_ROWS, _COLUMNS = 8, 16


class Grid(NamedTuple):
    """How pictures are laid out: each of so many pixels in height and width."""

    image_shape: tuple[int, int]

    def save(self, images: Array, path: Path) -> Path:
        """Writes images `[rows, columns, pixels]` side by side, ink dark on white, a line of grey between them."""
        rows, columns, _ = images.shape
        height, width = self.image_shape
        cells = np.asarray(images).reshape(rows, columns, height, width)
        framed = np.pad(cells, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=0.3)
        flat = framed.transpose(0, 2, 1, 3).reshape(rows * (height + 1), columns * (width + 1))
        stream = io.BytesIO()
        imsave(stream, 1 - np.kron(flat, np.ones((2, 2))), cmap="gray", vmin=0, vmax=1, format="png")
        write_atomically(path, [stream.getbuffer()])
        return path


def draw_samples(decoder: Network, key: Key[Array, ""], path: Path, grid: Grid) -> Path:
    """Draws images that the decoder generates from its prior: the pixels' probabilities given sampled latents."""
    trace = decoder.sample(key, {}, (_ROWS * _COLUMNS,))
    means = decoder.layers["image"].mean(trace.logits["image"])
    return grid.save(means.reshape(_ROWS, _COLUMNS, -1), path)


def draw_reconstructions(
    encoder: Network, decoder: Network, images: Images, key: Key[Array, ""], path: Path, grid: Grid
) -> Path:
    """Draws, in pairs of rows, binarised originals and below them the decoder's pixel probabilities given their code.

    Only the code's first layer matters for the pixels, and it is sampled from the encoder.
    """
    binarise_key, sample_key = jax.random.split(key)
    count = min(_ROWS // 2 * _COLUMNS, len(images.pixels))
    originals = binarise(binarise_key, images.pixels[:count])
    trace = encoder.sample(sample_key, {"image": originals})
    layer = decoder.layers["image"]
    features = tuple(decoder.features(trace.values, parent) for parent in layer.conditional.parents)
    means = layer.mean(layer.logits(features, (count,)))
    blank = ((0, -count % _COLUMNS), (0, 0))
    rows = [jnp.pad(a, blank).reshape(-1, _COLUMNS, a.shape[-1]) for a in (originals, means)]
    pairs = jnp.stack(rows, axis=1)
    return grid.save(pairs.reshape(-1, _COLUMNS, means.shape[-1]), path)


def draw_completions(
    complete: Callable[[Key[Array, ""], Array], Array], images: Images, key: Key[Array, ""], path: Path, grid: Grid
) -> Path:
    """Draws, in groups of four rows, binarised originals and below them three completions of each.

    Args:
        complete: takes a key and binary images `[images, pixels]`, and returns them completed from one sample.
        images: grey ones, of which the first are drawn.
        key: for binarisation and samples.
        path: of the file.
        grid: the layout.
    """
    binarise_key, *keys = jax.random.split(key, 4)
    count = min(_ROWS // 4 * _COLUMNS, len(images.pixels))
    originals = binarise(binarise_key, images.pixels[:count])
    blank = ((0, -count % _COLUMNS), (0, 0))
    every = [originals, *(complete(one, originals) for one in keys)]
    rows = [jnp.pad(a, blank).reshape(-1, _COLUMNS, a.shape[-1]) for a in every]
    return grid.save(jnp.stack(rows, axis=1).reshape(-1, _COLUMNS, originals.shape[-1]), path)
