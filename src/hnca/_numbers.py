"""Whether an option is a number, before it is compared with one."""

import numpy as np


def is_number(value: object) -> bool:
    """Returns whether a value is a number, Python's or numpy's, and neither text nor a truth value."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_count(value: object, least: int | None = None) -> bool:
    """Returns whether a value is a whole number, by its type too, and not below the least, if there is one."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_whole and (least is None or bool(value >= least))  # type: ignore[operator]
