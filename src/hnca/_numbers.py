"""What options and data are, before they are compared or computed with."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped


def is_number(value: object) -> bool:
    """Returns whether a value is a number, Python's or numpy's, and neither text nor a truth value."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_count(value: object, least: int | None = None) -> bool:
    """Returns whether a value is a whole number, by its type too, and not below the least, if there is one."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_whole and (least is None or bool(value >= least))  # type: ignore[operator]


def require_flag(owner: str, argument: str, value: object) -> None:
    """Raises a ValueError unless a value is True or False: a text such as `"no"` would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{owner}: {argument}={value!r}; expected True or False.")


def real_numbers(owner: str, argument: str, value: Any) -> Shaped[Array, "..."]:
    """Returns an array of real numbers or truth values; whatever else is a ValueError that names the argument."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise ValueError(f"{owner}: {argument}={value!r}; expected real numbers.") from None
    if jnp.issubdtype(array.dtype, jnp.complexfloating) or jnp.issubdtype(array.dtype, jax.dtypes.extended):
        raise ValueError(f"{owner}: {argument} is of {array.dtype}; expected real numbers.")
    return array
