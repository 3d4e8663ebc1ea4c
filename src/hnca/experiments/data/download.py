"""Downloads data sets from their publishers: resumed, verified, and only then put in place."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from hnca.experiments.data._collection import Collection
from hnca.experiments.data._dataset import DataError
from hnca.experiments.data._files import DataFile, verified_content
from hnca.experiments.files import opened_to_append, shown

_ATTEMPTS = 3
_PATIENCE = 600
"""Seconds to wait for another process."""
_SILENCE = 30
"""Seconds in which something has to come."""
_SLOWEST = 100
"""Bytes a second."""
_LARGEST = 2**28
"""Bytes, of a file whose size is not known."""
_CHUNK = 2**16


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
        with _alone(folder, tell):
            for file in collection.files:
                address = _address(collection, file, mirror)
                tell(f"{folder / file.name}: {_obtain(file, address, folder, tell)}")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error})") from None
    return folder


@contextmanager
def _alone(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Waits for another process that downloads into the folder, and says so."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tell(f"{folder}: another process is downloading into it; waiting for at most {_PATIENCE} s")
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout:
            raise DataError(f"{folder}: another process has been downloading into it for over {_PATIENCE} s") from None
    try:
        yield
    finally:
        lock.release()


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
        problem = _fetch(address, part, _longest(file))
        if _is_whole(part, file):
            os.replace(part, path)
            return "downloaded, the rest of it" if resumed else "downloaded"
        if problem is None or _is_too_long(part, file):
            found = part.stat().st_size if part.exists() else 0
            part.unlink(missing_ok=True)
            problem = f"{found} bytes came whose digest is not the expected one, {file.content or file.published}"
        if attempt == _ATTEMPTS:
            kept = "; what has come is kept for the next time" if part.exists() and part.stat().st_size > 0 else ""
            raise DataError(f"{address}: cannot be downloaded ({problem}){kept}")
        tell(f"{address}: {problem}; once more")
    raise AssertionError


def _fetch(address: str, part: Path, longest: int) -> str | None:
    """Appends to the file what it lacks, but never more than a little, and returns what went wrong, if anything."""
    import requests  # here, since it takes a while and few want it
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        with (
            opened_to_append(part) as output,
            requests.get(
                address, headers={"Accept-Encoding": "identity", **headers}, stream=True, timeout=_SILENCE
            ) as answer,
        ):
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                part.unlink()  # nothing lies beyond what is here, and that is not the file
            answer.raise_for_status()
            return _append(answer.raw, output, have, longest)
    except (requests.ReadTimeout, ReadTimeoutError):
        return f"nothing came for {_SILENCE} s"
    except requests.ConnectionError:
        return "no connection"
    except HTTPError:
        return "the connection broke before all of it had come"
    except requests.RequestException as error:
        return shown(error)


def _append(answer: Any, output: BinaryIO, have: int, longest: int) -> str | None:
    """Writes what comes, as it was sent, until it is longer than the file can be, or comes too slowly to ever end."""
    begun, came = time.monotonic(), 0
    while chunk := answer.read1(_CHUNK, decode_content=False):
        output.write(chunk)
        came += len(chunk)
        if have + came > longest:
            return f"more than {longest} bytes came"
        seconds = time.monotonic() - begun
        if seconds > _SILENCE and came < _SLOWEST * seconds:
            return f"{came} bytes came in {seconds:.0f} s"
    if answer.length_remaining:
        return "the connection broke before all of it had come"
    return None


def _longest(file: DataFile) -> int:
    """Returns how many bytes may come."""
    return _LARGEST if file.size is None else file.size


def _is_whole(path: Path, file: DataFile) -> bool:
    try:
        verified_content(path, file)
    except DataError:
        return False
    return True


def _is_too_long(part: Path, file: DataFile) -> bool:
    """Returns whether the server cannot resume it: it sent all of it once more, or refuses to send what lies beyond."""
    return part.exists() and part.stat().st_size >= _longest(file)
