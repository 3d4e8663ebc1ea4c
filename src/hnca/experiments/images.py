"""The images that experiments train on, as arrays on the device."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int, Num

from hnca.data.mnist import load_mnist

PIXELS = 784


class Images(NamedTuple):
    """Images and their labels, on the device; pixels from 0 to 255, or 0 and 1 once they are binarised."""

    pixels: Num[Array, "images pixels"]
    labels: Int[Array, " images"]


def mnist_on_device() -> tuple[Images, Images]:
    """Returns the training and the test images as arrays on the default device, pixels flat."""
    data = load_mnist()
    pairs = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
    first, second = (
        Images(jnp.asarray(pixels.reshape(len(pixels), -1)), jnp.asarray(labels, jnp.int32)) for pixels, labels in pairs
    )
    return first, second
