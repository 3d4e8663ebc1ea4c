"""Omniglot in 28 by 28 pixels, from the file in MATLAB's format that auto-encoders are usually trained on."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hnca.experiments.data._collection import Collection
from hnca.experiments.data._dataset import DataError, Dataset, Facts
from hnca.experiments.data._files import DataFile
from hnca.experiments.data._mat import read_mat
from hnca.experiments.files import shown

_SIDE = 28
_ALPHABETS = 50
_LONGEST = 2**29
"""Bytes: twice what the images are, as numbers of eight bytes each."""


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
    try:
        found = read_mat(contents["chardata.mat"], _LONGEST)
        parts = [(found[pixels], found[alphabets]) for pixels, alphabets in _PARTS]
        (train, train_alphabets), (test, test_alphabets) = parts
        data = Dataset(_images(train), _labels(train_alphabets), _images(test), _labels(test_alphabets))
        if [part[0].shape[1:] for part in parts] != [part[1].shape[1:] for part in parts]:
            raise ValueError("another number of alphabets than of images")
        return data
    except (KeyError, ValueError) as error:
        raise DataError(f"{folder / 'chardata.mat'}: cannot be understood ({shown(error)})") from None


_PARTS = (("data", "target"), ("testdata", "testtarget"))


def _images(columns: np.ndarray) -> np.ndarray:
    if columns.ndim != 2 or len(columns) != _SIDE**2 or columns.size == 0:
        raise ValueError(f"images of shape {columns.shape}")
    grey = np.asarray(columns, np.float64)
    if not (grey.min() >= 0 and grey.max() <= 1):
        raise ValueError("values beyond 0 and 1")
    values = np.rint(255 * grey.T).astype(np.uint8)
    return np.ascontiguousarray(values.reshape(-1, _SIDE, _SIDE).transpose(0, 2, 1))


def _labels(one_hot: np.ndarray) -> np.ndarray:
    if one_hot.ndim != 2 or not 0 < len(one_hot) <= _ALPHABETS:
        raise ValueError(f"alphabets of shape {one_hot.shape}")
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
