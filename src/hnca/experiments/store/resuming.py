"""How far a run has come: the last epoch whose checkpoint is whole and whose rows, and all before, are on disk."""

from pathlib import Path
from typing import NamedTuple

from hnca.experiments.files import remove_partial_files
from hnca.experiments.store import configuration, metrics
from hnca.experiments.store.checkpoint import (
    Checkpoint,
    Contents,
    DamagedError,
    checkpoints,
    read_checkpoint,
    remove_later,
)
from hnca.experiments.store.configuration import StoredRunError
from hnca.experiments.store.metrics import read_metrics, whole_epochs


class Progress(NamedTuple):
    """From where a run can be continued; without a configuration only from the beginning.

    Attributes:
        epoch: the last finished one; 0 if the run must begin at the beginning.
        checkpoint: after that epoch, None for 0.
        damaged: a line for each newer checkpoint that had to be passed over.
        contents: of that checkpoint, so that whoever goes on from it need not read it again.
    """

    epoch: int
    checkpoint: Checkpoint | None
    damaged: tuple[str, ...]
    contents: Contents | None = None


def progress(directory: Path, seeds: int) -> Progress:
    """Returns how far a run has come.

    Reads the checkpoint it stands at, and verifies every byte of it (28 MB for five VAEs of 3 layers).

    Args:
        directory: of the run; it need not exist.
        seeds: whose rows make an epoch whole.

    Raises:
        StoredRunError: if there is a whole checkpoint, but of the rows up to its epoch some are damaged or gone.
        OSError: if something that is there cannot be read.
    """
    if not (directory / configuration.NAME).exists():
        return Progress(0, None, ())
    measured = whole_epochs(read_metrics(directory), seeds)
    damaged, without_rows = [], 0
    for checkpoint in checkpoints(directory):
        try:
            contents = read_checkpoint(checkpoint)
        except DamagedError as error:
            damaged.append(str(error))
            continue
        except FileNotFoundError:  # its owner, at work on the run, has just written another
            continue
        if checkpoint.epoch <= measured:
            return Progress(checkpoint.epoch, checkpoint, tuple(damaged), contents)
        damaged.append(f"{checkpoint.path}: the rows up to its epoch are not whole")
        without_rows = checkpoint.epoch
    if without_rows:
        raise StoredRunError(
            f"{directory / metrics.NAME}: whole up to epoch {measured} only, and the checkpoints are of epoch "
            f"{without_rows} and later; expected it put back, or --overwrite to begin the run anew"
        )
    return Progress(0, None, tuple(damaged))


def has_results(directory: Path) -> bool:
    """Returns whether anything was measured or kept of a run, whatever else is there."""
    rows = directory / metrics.NAME
    return bool(checkpoints(directory)) or (rows.is_file() and rows.stat().st_size > 0)


def continue_after(directory: Path, epoch: int) -> None:
    """Removes what will not be continued: checkpoints of later epochs, and files that were never finished.

    Raises:
        OSError: if the directory cannot be written.
    """
    remove_partial_files(directory)
    remove_later(directory, epoch)


def begin_anew(directory: Path) -> None:
    """Removes a run, but neither the claim on it nor what is not of it.

    Whoever is killed on the way leaves a run of no epochs with the settings it had.

    Raises:
        OSError: if the directory cannot be written.
    """
    continue_after(directory, 0)
    (directory / metrics.NAME).unlink(missing_ok=True)
    (directory / configuration.NAME).unlink(missing_ok=True)
