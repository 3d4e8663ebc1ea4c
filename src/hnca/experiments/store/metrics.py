"""Measurements on disk: one JSON object a line, appended as each epoch ends."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from types import TracebackType

from hnca.experiments.files import opened_to_append, read_json, read_whole
from hnca.experiments.store.configuration import stored_runs
from hnca.experiments.store.rows import Row, as_json, identity, row_of

NAME = "metrics.jsonl"


class MetricsFile:
    """`metrics.jsonl` of a run, opened to be continued.

    Example:
        ```python
        with MetricsFile(directory, after_epoch=12) as metrics:
            metrics.write(rows)
        ```
    """

    def __init__(self, directory: Path, after_epoch: int):
        """Args:
            directory: of the run.
            after_epoch: rows of later epochs, and what a killed process left of a line, are dropped; 0 drops all.

        Raises:
            OSError: if it cannot be written.
        """
        path = directory / NAME
        self._file = opened_to_append(path)
        self._file.truncate(_length_up_to(path, after_epoch))

    def write(self, rows: Sequence[Row]) -> None:
        """Appends the rows of an epoch and brings them to the disk.

        They are there before a checkpoint is that counts on them.
        """
        self._file.write("".join(json.dumps(as_json(row), allow_nan=False) + "\n" for row in rows).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What could not be written cannot be written now either, and the reason is on its way already.
        try:
            self._file.close()
        except OSError:
            if error is None:
                raise


def read_metrics(directory: Path) -> list[Row]:
    """Returns the rows of a run in order, up to the first line that is not whole; none if there is no file."""
    return [row for row, _ in _whole_lines(directory / NAME)]


def read_rows(out: Path, first: Sequence[Path] = ()) -> list[Row]:
    """Returns the rows of all runs below a directory, by depth, then by name.

    Args:
        out: the directory that a command was given as `--out`.
        first: directories of runs that come before others of their depth, in this order.

    Raises:
        StoredRunError: if the configuration of a run is damaged.
    """
    place = {directory: number for number, directory in enumerate(first)}
    runs = stored_runs(out)
    order = sorted(runs, key=lambda path: (runs[path]["layers"], place.get(path, len(place)), path))
    return [row for directory in order for row in read_metrics(directory)]


def whole_epochs(rows: Sequence[Row], seeds: int) -> int:
    """Returns the last epoch up to which every epoch has a row of every seed; 0 if the first has not."""
    found = {(row.epoch, row.seed) for row in rows}
    epoch = 0
    while all((epoch + 1, seed) in found for seed in range(seeds)):
        epoch += 1
    return epoch


def _length_up_to(path: Path, epoch: int) -> int:
    """Returns how many bytes from the beginning hold whole rows of no later epoch."""
    length = 0
    for row, end in _whole_lines(path):
        if row.epoch > epoch:
            break
        length = end
    return length


def _whole_lines(path: Path) -> list[tuple[Row, int]]:
    """Returns every row and where its line ends, up to the first line that is not whole."""
    try:
        content = read_whole(path)
    except FileNotFoundError:
        return []
    found: list[tuple[Row, int]] = []
    end = 0
    for line in content.splitlines(keepends=True):
        try:
            row = row_of(read_json(line))
        except ValueError:  # A line cut short, or what a power cut left where a line should be.
            break
        if not line.endswith(b"\n") or row is None:
            break
        end += len(line)
        found.append((row, end))
    # What all rows of a run have alike, one that was altered may have otherwise.
    alike = Counter(map(identity, (row for row, _ in found))).most_common(1)
    return list(takewhile(lambda pair: identity(pair[0]) == alike[0][0], found))
