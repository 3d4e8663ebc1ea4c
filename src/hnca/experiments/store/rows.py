"""A row: what one seed's network measured in one epoch, and the one way from JSON to it and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hnca.experiments.methods import former_name
from hnca.experiments.methods import is_known as is_method
from hnca.experiments.registry import EXPERIMENTS


class Row(NamedTuple):
    """A line of `metrics.jsonl`, where all of it stands side by side.

    Attributes:
        experiment: its name.
        estimator: the name on the command line.
        about: what else says which network it was, in words, such as its torso.
        layers: how many hidden ones.
        seed: 0, 1, ...
        epoch: 1, 2, ...
        measured: by field; None for what was not measured in this epoch, and for the logarithm of no variance at all.
        seconds: that the epoch took, all seeds together.
    """

    experiment: str
    estimator: str
    about: Mapping[str, str]
    layers: int
    seed: int
    epoch: int
    measured: Mapping[str, float | None]
    seconds: float


_COUNTS = {"layers": 1, "seed": 0, "epoch": 1}
"""And from where on they count."""


def as_json(row: Row) -> dict[str, Any]:
    """Returns a row as its line has it."""
    counts = {name: getattr(row, name) for name in _COUNTS}
    words = {"experiment": row.experiment, "estimator": row.estimator, **row.about}
    return {**words, **counts, **row.measured, "seconds": row.seconds}


def row_of(value: object) -> Row | None:
    """Returns the row that JSON stands for, as rows are now, or None if it is none.

    Of the rows of bandits the estimator and its baseline were once two fields.
    """
    if not isinstance(value, dict):
        return None
    words = {name: field for name, field in value.items() if isinstance(field, str)}
    numbers = {name: field for name, field in value.items() if name not in words and name not in _COUNTS}
    counted = all(_is_count(value.get(name), least) for name, least in _COUNTS.items())
    if not counted or not all(map(_is_number, numbers.values())):
        return None
    experiment, estimator = words.pop("experiment", None), words.pop("estimator", None)
    seconds = numbers.pop("seconds", None)
    if experiment is None or estimator is None or seconds is None:
        return None
    try:
        estimator = former_name(estimator, words["baseline"])
        del words["baseline"]
    except KeyError:  # no row of before, or one whose two words make no name: that one is not known
        pass
    return Row(experiment, estimator, words, value["layers"], value["seed"], value["epoch"], numbers, seconds)


def _is_count(value: object, least: int) -> bool:
    return type(value) is int and value >= least


def _is_number(value: object) -> bool:
    return value is None or type(value) in (int, float)


def is_known(row: Row) -> bool:
    """Returns whether a row is of an experiment and an estimator that there are, and in the form that rows have now."""
    former = "baseline" in {**row.about, **row.measured}
    return row.experiment in EXPERIMENTS and is_method(row.estimator) and not former


def identity(row: Row) -> tuple[object, ...]:
    """Returns what all rows of a run have alike: its depth, and all that is text."""
    return row.layers, row.experiment, row.estimator, *row.about.items()


def complete(rows: Sequence[Row], fields: Iterable[str]) -> list[Row]:
    """Returns the rows of estimators that are known, with all that is shown; one with an altered name has not.

    Args:
        rows: of one experiment.
        fields: what it measures, beside the variance.
    """
    return [row for row in rows if is_known(row) and _has_all(row, {*fields, "log_gradient_variance"})]


def _has_all(row: Row, fields: set[str]) -> bool:
    found = [row.seconds, *(row.measured[name] for name in fields & row.measured.keys())]
    return len(found) == 1 + len(fields) and all(value is None or type(value) is float for value in found)


def distinct(rows: Sequence[tuple[object, ...]], field: str) -> list[Any]:
    """Returns the values that a field of named tuples takes, in the order of their first appearance."""
    return list(dict.fromkeys(getattr(row, field) for row in rows))
