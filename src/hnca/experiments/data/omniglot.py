"""Omniglot in 28 by 28 pixels, from the file in MATLAB's format that auto-encoders are usually trained on."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hnca.experiments.data._collection import Collection
from hnca.experiments.data._dataset import DataError, Dataset, Facts
from hnca.experiments.data._files import DataFile

_SIDE = 28


def read_omniglot(contents: Mapping[str, bytes], folder: Path) -> Dataset:
    """Returns the images, grey values rounded to bytes; labels are the alphabets.

    The file has an image a column, itself column by column, values from 0 to 1.

    Args:
        contents: of `chardata.mat`.
        folder: for messages.

    Raises:
        DataError: if it lacks something.

    Source: Burda, Grosse and Salakhutdinov, *Importance weighted autoencoders*, 2016, Section 5.
    """
    from scipy.io import loadmat  # here, since it takes a while and few want it
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(io.BytesIO(contents["chardata.mat"]))
        parts = [(found[pixels], found[alphabets]) for pixels, alphabets in _PARTS]
        (train, train_alphabets), (test, test_alphabets) = parts
        return Dataset(_images(train), _labels(train_alphabets), _images(test), _labels(test_alphabets))
    except (KeyError, ValueError, TypeError, NotImplementedError, MatReadError) as error:
        raise DataError(f"{folder / 'chardata.mat'}: cannot be understood ({error})") from None


_PARTS = (("data", "target"), ("testdata", "testtarget"))


def _images(columns: np.ndarray) -> np.ndarray:
    values = np.rint(255 * np.asarray(columns, np.float64).T).astype(np.uint8)
    return np.ascontiguousarray(values.reshape(-1, _SIDE, _SIDE).transpose(0, 2, 1))


def _labels(one_hot: np.ndarray) -> np.ndarray:
    return np.argmax(one_hot, axis=0).astype(np.uint8)


OMNIGLOT = Collection(
    Facts("omniglot", "omniglot", 24_345, (28, 28), 50),
    "characters of 50 alphabets, by B. Lake and others, in 28 by 28 pixels",
    "MIT",
    (
        DataFile(
            "chardata.mat",
            (),
            "https://raw.githubusercontent.com/yburda/iwae/master/datasets/OMNIGLOT/chardata.mat",
            None,
            "md5:21ecaf34373511aa7691cf2e0802aa3d",
            None,
        ),
    ),
    ("omniglot",),
    read_omniglot,
)
