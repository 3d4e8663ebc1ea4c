"""Data sets by their names, or from a user's file."""

from pathlib import Path

from hnca.experiments.data._collection import Collection
from hnca.experiments.data._dataset import DataError, Dataset, Facts
from hnca.experiments.data._files import verified_content
from hnca.experiments.data.catalogue import CATALOGUE
from hnca.experiments.data.npz import read_npz
from hnca.experiments.data.places import require


def load_dataset(name: str, directory: Path | str | None = None) -> Dataset:
    """Returns a data set, each of its files checked against its digest.

    Args:
        name: `mnist`, `fashion-mnist`, `kmnist` or `omniglot`, or the path of a `.npz` file.
        directory: where it is looked for first; MNIST is in the package.

    Raises:
        DataError: if it is not known, not there, or damaged.
    """
    if is_file(name):
        return read_npz(Path(name))[0]
    return read_collection(_known(name), require(_known(name), None if directory is None else Path(directory)))


def facts_of(name: str) -> Facts:
    """Returns what has to be known of a data set before it is loaded; of a user's file after reading it.

    Raises:
        DataError: if it is not known, or the file is not there or damaged.
    """
    return read_npz(Path(name))[1] if is_file(name) else _known(name).facts


def read_collection(collection: Collection, folder: Path) -> Dataset:
    """Returns the data set in a folder.

    Raises:
        DataError: naming the file that is missing or damaged.
    """
    return collection.read({file.name: verified_content(folder / file.name, file) for file in collection.files}, folder)


def is_file(name: str) -> bool:
    """Returns whether this is the path of a user's file and not a name."""
    return name.endswith(".npz")


def _known(name: str) -> Collection:
    if name not in CATALOGUE:
        raise DataError(f"{name}: no such data set; expected {', '.join(CATALOGUE)}, or a file PATH.npz")
    return CATALOGUE[name]
