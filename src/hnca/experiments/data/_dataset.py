"""What a data set is once it is loaded, and what can be said of it before."""

from typing import NamedTuple

import numpy as np


class DataError(ValueError):
    """Data that are missing or damaged. Its message is one line, naming the file and what was expected."""


class Dataset(NamedTuple):
    """Grey-scale images for training and for testing.

    Attributes:
        train_images: uint8 `[images, height, width]`, 0 is background and 255 is ink.
        train_labels: integers `[images]`, 0, 1, ..., or None.
        test_images: uint8 `[images, height, width]`.
        test_labels: like those for training.
    """

    train_images: np.ndarray
    train_labels: np.ndarray | None
    test_images: np.ndarray
    test_labels: np.ndarray | None


class Facts(NamedTuple):
    """What has to be known of a data set to build a network for it, and to tell it from others.

    Attributes:
        name: of the data set, or of the user's file.
        content: the same for one that is known, `sha256:...` of the file for the user's own.
        train_images: how many.
        image_shape: height and width.
        classes: how many, of the labels; None where there are none.
        validation_images: how many others of the training images are measured on, in place of the test images.
    """

    name: str
    content: str
    train_images: int
    image_shape: tuple[int, int]
    classes: int | None
    validation_images: int = 0
