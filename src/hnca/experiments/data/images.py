"""Images as arrays on the device, and dynamic binarisation: grey values as probabilities, drawn anew every time."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Num, UInt8, UInt32

from hnca.experiments.data import Dataset


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


_EVERY_BYTE = 0x01010101


def thresholds(images: UInt8[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """Returns `value * (2**32 - 1) / 255`, a whole number, so that `P(word < threshold) = value / 255`.

    That is exact for a word uniform on all but the largest of its 2**32 values.
    """
    return images.astype(jnp.uint32) * jnp.uint32(_EVERY_BYTE)


def binarise(key: Key[Array, ""], images: UInt8[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns 1 with probability value/255, else 0, independently for every pixel; always 1 for 255 and 0 for 0.

    Args:
        key: one random word a pixel is drawn from it.
        images: grey values, 0 to 255.
    """
    limits = thresholds(images)
    words = jax.random.bits(key, images.shape, jnp.uint32)
    return ((words < limits) | (images == 255)).astype(jnp.result_type(float))
