"""Downloads data sets from their publishers: resumed, verified, and only then put in place."""

import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from hnca.experiments.data._collection import Collection
from hnca.experiments.data._dataset import DataError
from hnca.experiments.data._files import DataFile, verified_content

_ATTEMPTS = 3


def download(collection: Collection, root: Path, mirror: str | None, tell: Callable[[str], None]) -> Path:
    """Returns the folder that has all files of a data set afterwards; those that are there and whole are left alone.

    Args:
        collection: the data set.
        root: the data directory, in which it gets a folder of its own.
        mirror: an address below which `<name>/<file>` are, instead of the publisher's.
        tell: takes a line for every file.

    Raises:
        DataError: if a file cannot be had, or written, or is not what it should be. What has come so far is kept.
    """
    folder = root / collection.folders[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            for file in collection.files:
                address = _address(collection, file, mirror)
                tell(f"{folder / file.name}: {_obtain(file, address, folder, tell)}")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error})") from None
    return folder


def _address(collection: Collection, file: DataFile, mirror: str | None) -> str:
    return file.address if mirror is None else f"{mirror.rstrip('/')}/{collection.facts.name}/{file.name}"


def _obtain(file: DataFile, address: str, folder: Path, tell: Callable[[str], None]) -> str:
    """Gets one file unless it is there, and returns what was done."""
    path, part = folder / file.name, folder / f"{file.name}.part"
    if _is_whole(path, file):
        return "is there"
    tell(f"{address}{'' if file.size is None else f': {file.size:,} bytes'}")
    for attempt in range(1, _ATTEMPTS + 1):
        resumed = part.exists() and part.stat().st_size > 0
        problem = _fetch(address, part)
        if _is_whole(part, file):
            os.replace(part, path)
            return "downloaded, the rest of it" if resumed else "downloaded"
        if problem is None or _is_too_long(part, file):
            found = part.stat().st_size
            part.unlink()
            problem = f"{found} bytes came whose digest is not the expected one, {file.content or file.published}"
        if attempt == _ATTEMPTS:
            kept = "; what has come is kept for the next time" if part.exists() and part.stat().st_size > 0 else ""
            raise DataError(f"{address}: cannot be downloaded ({problem}){kept}")
    raise AssertionError


def _fetch(address: str, part: Path) -> str | None:
    """Appends to the file what it lacks, and returns what went wrong, if anything."""
    import pooch  # here, since it takes a while and few want it
    import requests

    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
    try:
        with part.open("ab") as output:
            pooch.HTTPDownloader(headers=headers)(address, output, None)
    except requests.ConnectionError:
        return "no connection"
    except requests.exceptions.ChunkedEncodingError:
        return "the connection broke before all of it had come"
    except requests.HTTPError as error:
        unsatisfiable = requests.codes.requested_range_not_satisfiable
        if error.response is not None and error.response.status_code == unsatisfiable:
            part.unlink()  # nothing lies beyond what is here, and that is not the file
        return str(error).replace("\n", " ")
    except requests.RequestException as error:
        return str(error).replace("\n", " ")
    return None


def _is_whole(path: Path, file: DataFile) -> bool:
    try:
        verified_content(path, file)
    except DataError:
        return False
    return True


def _is_too_long(part: Path, file: DataFile) -> bool:
    """Returns whether the server cannot resume it: it sent all of it once more, or refuses to send what lies beyond."""
    return file.size is not None and part.exists() and part.stat().st_size >= file.size
