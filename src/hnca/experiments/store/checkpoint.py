"""Where training stood after an epoch.

A checkpoint has three parts: a line with the format's name and the SHA-256 of all that follows it, a line of JSON that
says what it is, and the state itself.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hnca.experiments.files import read_json, read_whole, write_atomically

FORMAT = "hnca-checkpoint-1"
_KEPT = 2
_NAME = re.compile(r"checkpoint-(\d+)\.eqx")


class DamagedError(Exception):
    """A checkpoint that is not whole."""


class Checkpoint(NamedTuple):
    """A checkpoint as it lies on disk, not yet read.

    Attributes:
        epoch: after which it was written.
        path: of the file.
    """

    epoch: int
    path: Path


class Contents(NamedTuple):
    """What was read of a checkpoint, and found whole.

    Attributes:
        header: what a reader should know, as JSON.
        content: the state.
    """

    header: dict[str, Any]
    content: bytes


def write_checkpoint(directory: Path, epoch: int, content: bytes | memoryview, header: Mapping[str, Any]) -> Path:
    """Writes `checkpoint-<epoch>.eqx`, keeps the one before it, and removes older ones.

    Args:
        directory: of the run.
        epoch: the last one that was finished.
        content: the state.
        header: what else a reader should know, as JSON.

    Raises:
        OSError: if it cannot be written; the ones before are untouched then.
    """
    line = json.dumps({"epoch": epoch, **header}).encode() + b"\n"
    digest = hashlib.sha256(line)
    digest.update(content)
    seal = f"{FORMAT} {digest.hexdigest()}\n".encode()
    path = directory / f"checkpoint-{epoch:06}.eqx"
    write_atomically(path, [seal, line, content])
    for old in checkpoints(directory)[_KEPT:]:
        old.path.unlink(missing_ok=True)
    return path


def checkpoints(directory: Path) -> list[Checkpoint]:
    """Returns what there is, the newest first."""
    matches = [(_NAME.fullmatch(path.name), path) for path in directory.glob("checkpoint-*.eqx")]
    return sorted((Checkpoint(int(match[1]), path) for match, path in matches if match), reverse=True)


def newest_epoch(directory: Path) -> int:
    """Returns the epoch of the newest checkpoint as its name has it, unread; 0 if there is none."""
    return max((checkpoint.epoch for checkpoint in checkpoints(directory)), default=0)


def remove_later(directory: Path, epoch: int) -> None:
    """Removes the checkpoints of later epochs, from which nothing will be continued."""
    for checkpoint in checkpoints(directory):
        if checkpoint.epoch > epoch:
            checkpoint.path.unlink(missing_ok=True)


def read_checkpoint(checkpoint: Checkpoint) -> Contents:
    """Returns the header and the content, and verifies every byte of them (28 MB for five VAEs of 3 layers).

    Raises:
        DamagedError: if the file is not what was written.
        OSError: if it cannot be read.
    """
    seal, _, sealed = read_whole(checkpoint.path).partition(b"\n")
    if seal != f"{FORMAT} {hashlib.sha256(sealed).hexdigest()}".encode():
        raise DamagedError(f"{checkpoint.path}: its checksum is not that of its content")
    line, _, content = sealed.partition(b"\n")
    try:
        header = read_json(line)
    except ValueError as error:
        raise DamagedError(f"{checkpoint.path}: its head {error}") from None
    if not isinstance(header, dict) or header.get("epoch") != checkpoint.epoch:
        raise DamagedError(f"{checkpoint.path}: is not the checkpoint of epoch {checkpoint.epoch}")
    return Contents(header, content)
