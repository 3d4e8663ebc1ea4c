"""A row: what one seed's network measured in one epoch."""

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def distinct(rows: Sequence[Row], field: str) -> list[Any]:
    """Returns the values that a field takes, in the order of their first appearance."""
    return list(dict.fromkeys(row[field] for row in rows))
