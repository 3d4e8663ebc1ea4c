"""What can stop a run that nobody set wrongly, each told in one line: a full disk, too little memory, a lost claim."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hnca.experiments.settings import SettingsError
from hnca.experiments.store import LostClaimError, StoredRunError

_MEMORY = "RESOURCE_EXHAUSTED", "out of memory", "Out of memory"
_PARTNER = "Gloo", "distributed service", "coordination service", "Socket closed"
_WHOLE = "what was written before is whole, and the same command"
_GOES_ON = f"{_WHOLE} goes on from there"


class RunFailure(Exception):  # noqa: N818 - a failure of the machine's, not an error of the user's
    """A run that cannot go on. Its message is one line, fit to be shown to the user."""


@contextmanager
def told(directory: Path) -> Iterator[None]:
    """Turns what can go wrong while a run is written into that directory into a RunFailure.

    Raises:
        RunFailure: for an operating system's error, a lost claim, or too little memory.
    """
    try:
        yield
    except BrokenPipeError:  # of what is printed, not of what is written
        raise
    except OSError as error:
        raise RunFailure(f"{_not_written(directory, error)}; {_WHOLE} goes on once it can be") from error
    except LostClaimError as error:
        raise RunFailure(f"--out {directory}: given up, since {error}") from error
    except MemoryError as error:
        raise RunFailure(_too_little_memory(directory)) from error
    except RuntimeError as error:  # as JAX has it; not named, so that the command line need not import JAX
        if any(sign in str(error) for sign in _MEMORY):
            raise RunFailure(_too_little_memory(directory)) from error
        raise


@contextmanager
def partners_there(directory: Path) -> Iterator[None]:
    """Turns what a process meets whose partners are gone into a RunFailure.

    Raises:
        RunFailure: if another process of the run cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _PARTNER):
            raise
        gone = "another process of this run is gone, or cannot be reached"
        raise RunFailure(f"--out {directory}: {gone}; {_GOES_ON}") from error


@contextmanager
def refused(directory: Path) -> Iterator[None]:
    """Turns what is wrong with a directory before anything is trained into a SettingsError.

    Raises:
        SettingsError: for an operating system's error, or a run that cannot be read.
    """
    try:
        yield
    except StoredRunError as error:
        raise SettingsError(str(error)) from None
    except OSError as error:
        raise SettingsError(_not_written(directory, error)) from None


def _not_written(directory: Path, error: OSError) -> str:
    """Returns what could not be written, and which file of it, if the system says so."""
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else directory
    inside = path != directory and path.is_relative_to(directory)
    which = f"{path.relative_to(directory)} " if inside else ""
    return f"--out {directory}: {which}cannot be written ({error.strerror or error})"


def _too_little_memory(directory: Path) -> str:
    return (
        f"--out {directory}: stopped, out of memory; expected fewer --seeds, as all are trained together, or a smaller "
        f"--batch-size or --width"
    )
