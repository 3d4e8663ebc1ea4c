"""Measurements on disk: one JSON object a line, written and flushed as each epoch ends."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from hnca.experiments.estimators import label
from hnca.experiments.settings import SettingsError

Row = dict[str, Any]


class MetricsFile:
    """`metrics.jsonl` in a directory, opened to be written.

    Example:
        ```python
        with MetricsFile(directory, overwrite=False) as metrics:
            metrics.write({"epoch": 1, "train_accuracy": 0.4})
        ```
    """

    def __init__(self, directory: Path, overwrite: bool):
        """Args:
            directory: made if it does not exist.
            overwrite: whether the rows of an earlier run may be replaced.

        Raises:
            SettingsError: if the directory cannot be written, or holds rows that may not be replaced.
        """
        self.path = directory / "metrics.jsonl"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if not overwrite and self.path.exists() and self.path.stat().st_size:
                raise SettingsError(
                    f"--out {directory}: holds the metrics of an earlier run; expected another directory, "
                    "or --overwrite to replace them"
                )
            self._file = self.path.open("w", encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"--out {directory}: cannot be written ({error.strerror or error})") from None
        self.rows: list[Row] = []

    def write(self, row: Mapping[str, Any]) -> None:
        """Appends one row and hands it to the operating system."""
        self.rows.append(dict(row))
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_rows(path: Path) -> list[Row]:
    """Returns the rows of a metrics file, in order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def distinct(rows: Sequence[Row], field: str) -> list[Any]:
    """Returns the values that a field takes, in the order of their first appearance."""
    return list(dict.fromkeys(row[field] for row in rows))


def method_label(row: Row) -> str:
    """Returns how tables and figures name the estimator of a row."""
    has_baseline = row.get("baseline", "none") != "none"
    return label(row["estimator"] + ("+baseline" if has_baseline else ""))
