"""A row: what one seed's network measured in one epoch."""

from collections.abc import Sequence
from typing import Any

from hnca.experiments.methods import former_name

Row = dict[str, Any]


def up_to_date(row: Row) -> Row:
    """Returns a row as rows are now: of those of bandits the estimator and its baseline were once two fields."""
    if "baseline" not in row:
        return row
    return {
        name: former_name(value, row["baseline"]) if name == "estimator" else value
        for name, value in row.items()
        if name != "baseline"
    }


def distinct(rows: Sequence[Row], field: str) -> list[Any]:
    """Returns the values that a field takes, in the order of their first appearance."""
    return list(dict.fromkeys(row[field] for row in rows))
