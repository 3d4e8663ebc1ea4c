"""Where data sets are looked for on this machine."""

import os
from pathlib import Path

from platformdirs import user_cache_path

from hnca.experiments.data._collection import Collection
from hnca.experiments.data._dataset import DataError

VARIABLE = "HNCA_DATA"
_SYSTEM = Path("/usr/share/datasets")
"""Where Debian's `dataset-fashion-mnist` has its files."""


def data_directory(chosen: Path | None = None) -> Path:
    """Returns where data sets are put: the one chosen, or $HNCA_DATA, or the user's cache."""
    if chosen is not None:
        return chosen
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else user_cache_path("hnca") / "data"


def find(collection: Collection, chosen: Path | None = None) -> Path | None:
    """Returns the first folder that has all files of a data set, or None.

    Looked for in the directory chosen, in $HNCA_DATA, in the user's cache, and where Debian puts data sets.
    """
    if collection.embedded is not None:
        return collection.embedded
    for folder in _folders(collection, chosen):
        if all((folder / file.name).is_file() for file in collection.files):
            return folder
    return None


def require(collection: Collection, chosen: Path | None = None) -> Path:
    """Returns the folder that has all files of a data set.

    Raises:
        DataError: saying where it was looked for and how to get it.
    """
    folder = find(collection, chosen)
    if folder is None:
        name = collection.facts.name
        looked = ", ".join(str(each) for each in _folders(collection, chosen))
        files = " ".join(file.name for file in collection.files)
        raise DataError(f"{name}: not in {looked}; expected {files} there, as `hnca data get {name}` downloads them")
    return folder


def _folders(collection: Collection, chosen: Path | None) -> list[Path]:
    variable = os.environ.get(VARIABLE)
    roots = [chosen, Path(variable) if variable else None, user_cache_path("hnca") / "data", _SYSTEM]
    return list(dict.fromkeys(root / folder for root in roots if root is not None for folder in collection.folders))
