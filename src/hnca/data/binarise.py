"""Dynamic binarisation: grey values as probabilities, drawn anew every time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt8, UInt32

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
