"""Measurements as TensorBoard event files, beside `metrics.jsonl`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from hnca.experiments.settings import SettingsError
from hnca.experiments.store import Row


class Events(ABC):
    """Where an epoch's measurements go besides; entered when a run begins and left when it ends."""

    @abstractmethod
    def write(self, rows: Sequence[Row]) -> None:
        """Writes what an epoch's rows have measured."""

    def __enter__(self) -> "Events":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class NoEvents(Events):
    """Nowhere."""

    def write(self, rows: Sequence[Row]) -> None:
        return None


class EventFiles(Events):
    """`tensorboard/seed-0`, ... in the directory of a run, one scalar a measurement, its step being the epoch."""

    def __init__(self, directory: Path, after: int):
        """Opens no file yet.

        Args:
            directory: of the run.
            after: the epoch after which the run goes on; what was written of later ones is no longer shown.

        Raises:
            SettingsError: if the package that writes them is not installed.
        """
        try:
            from tensorboardX import SummaryWriter
        except ModuleNotFoundError:
            raise SettingsError("--tensorboard: expected tensorboardX; pip install 'hnca[tensorboard]'") from None
        self._open = lambda seed: SummaryWriter(str(directory / "tensorboard" / f"seed-{seed}"), purge_step=after + 1)
        self._writers: dict[int, SummaryWriter] = {}

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if row.seed not in self._writers:
                self._writers[row.seed] = self._open(row.seed)
            writer = self._writers[row.seed]
            for field, value in {**row.measured, "seconds": row.seconds}.items():
                if value is not None:
                    writer.add_scalar(field, value, row.epoch)
            writer.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()
