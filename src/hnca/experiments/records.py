"""Measurements of all runs together, as tables and figures need them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hnca.experiments.estimators import label, with_baseline
from hnca.experiments.store import Row as Row
from hnca.experiments.store import read_metrics, stored_runs


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


def distinct(rows: Sequence[Row], field: str) -> list[Any]:
    """Returns the values that a field takes, in the order of their first appearance."""
    return list(dict.fromkeys(row[field] for row in rows))


def method_label(row: Row) -> str:
    """Returns how tables and figures name the estimator of a row."""
    baseline = row.get("baseline", "none")  # the rows of auto-encoders have it in the estimator's name
    return label(with_baseline(row["estimator"], baseline) if baseline != "none" else row["estimator"])
