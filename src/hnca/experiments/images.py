"""The images that experiments train on, as arrays on the device."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Num

from hnca.data import Dataset


class Images(NamedTuple):
    """Images and their labels, on the device; pixels from 0 to 255, or 0 and 1 once they are binarised."""

    pixels: Num[Array, "images pixels"]
    labels: Int[Array, " images"]


def on_device(data: Dataset) -> tuple[Images, Images]:
    """Returns the training and the test images as arrays on the default device, pixels flat.

    Where there are no labels they are all 0.
    """
    return _flat(data.train_images, data.train_labels), _flat(data.test_images, data.test_labels)


def _flat(pixels: np.ndarray, labels: np.ndarray | None) -> Images:
    known = np.zeros(len(pixels), np.int32) if labels is None else labels
    return Images(jnp.asarray(pixels.reshape(len(pixels), -1)), jnp.asarray(known, jnp.int32))


def largest_divisor(count: int, at_most: int) -> int:
    """Returns the largest divisor of `count` that is at most so large: how many of them fit in equal parts."""
    return next(size for size in range(at_most, 0, -1) if count % size == 0)
