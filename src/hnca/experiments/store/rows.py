"""A row: what one seed's network measured in one epoch."""

from collections.abc import Iterable, Sequence
from typing import Any

from hnca.experiments.methods import former_name
from hnca.experiments.methods import is_known as is_method
from hnca.experiments.registry import EXPERIMENTS

Row = dict[str, Any]

_WORDS = ("experiment", "estimator")
_COUNTS = {"epoch": 1, "seed": 0, "layers": 1}
"""And from where on they count."""


def is_row(value: Any) -> bool:
    """Returns whether JSON is a row: of an epoch and a seed, and beside text only numbers, or nothing."""
    if not isinstance(value, dict) or not {"epoch", "seed"} <= value.keys():
        return False
    return all(
        (type(field) is int and field >= _COUNTS[name])
        if name in _COUNTS
        else field is None or type(field) in (int, float, str)
        for name, field in value.items()
    )


def is_known(row: Row) -> bool:
    """Returns whether a row is of an experiment and an estimator that there are, and in the form that rows have now."""
    return row.get("experiment") in EXPERIMENTS and "baseline" not in row and is_method(row.get("estimator"))


def identity(row: Row) -> tuple[object, ...]:
    """Returns what all rows of a run have alike: its depth, and all that is text."""
    return row.get("layers"), *((name, value) for name, value in row.items() if isinstance(value, str))


def complete(rows: Sequence[Row], fields: Iterable[str]) -> list[Row]:
    """Returns the rows of estimators that are known, with all that is shown; one with an altered name has not.

    Args:
        rows: of one experiment.
        fields: what it measures, beside the variance.
    """
    numbers = {*fields, "log_gradient_variance", "seconds"}
    names = {*_COUNTS, *_WORDS, *numbers}
    return [
        row
        for row in rows
        if is_known(row)
        and names <= row.keys()
        and all(row[name] is None or type(row[name]) is float for name in numbers)
    ]


def up_to_date(row: Row) -> Row:
    """Returns a row as rows are now: of those of bandits the estimator and its baseline were once two fields.

    One of which the two make no name stays as it is, and is not known.
    """
    if "baseline" not in row:
        return row
    try:
        name = former_name(row["estimator"], row["baseline"])
    except KeyError:
        return row
    return {**{field: value for field, value in row.items() if field != "baseline"}, "estimator": name}


def distinct(rows: Sequence[Row], field: str) -> list[Any]:
    """Returns the values that a field takes, in the order of their first appearance."""
    return list(dict.fromkeys(row[field] for row in rows))
