"""What options and data are, before they are compared or computed with."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped


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


def require_one_of(owner: str, argument: str, value: object, choices: Sequence[str]) -> None:
    """Raises a ValueError unless a value is one of some texts."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{owner}: {argument}={value!r}; expected one of {tuple(choices)!r}.")


def require_callable(owner: str, argument: str, value: object, of: str) -> None:
    """Raises a ValueError unless a value can be called.

    Args:
        owner: the class, for the message.
        argument: its argument.
        value: what was given.
        of: what the function is one of.
    """
    if not callable(value):
        raise ValueError(f"{owner}: {argument}={value!r}; expected a function of {of}.")


def as_array(owner: str, argument: str, value: Any, expected: str = "real numbers") -> Shaped[Array, "..."]:
    """Returns an array; what is none, such as a text, is a ValueError that names the argument and what is expected."""
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{owner}: {argument}={value!r}; expected {expected}.") from None


def known_numbers(array: Any) -> np.ndarray | None:
    """Returns the numbers of an array, or None while they are being traced.

    Numpy's: under `jax.jit` what jax.numpy makes of an array that is known is not known.
    """
    return None if isinstance(array, jax.core.Tracer) else np.asarray(array)


def real_numbers(owner: str, argument: str, value: Any) -> Shaped[Array, "..."]:
    """Returns an array of real numbers or truth values; whatever else is a ValueError that names the argument."""
    array = as_array(owner, argument, value)
    if jnp.issubdtype(array.dtype, jnp.complexfloating) or jnp.issubdtype(array.dtype, jax.dtypes.extended):
        raise ValueError(f"{owner}: {argument} is of {array.dtype}; expected real numbers.")
    return array


def floats_of_rank(owner: str, argument: str, value: Any, rank: int, shape: str) -> Float[Array, "..."]:
    """Returns an array of floats with so many axes, a parameter; whatever else is a ValueError.

    Args:
        owner: the class, for the message.
        argument: its argument.
        value: what was given.
        rank: the number of its axes.
        shape: what they are, for the message.
    """
    array = real_numbers(owner, argument, value)
    if array.ndim != rank or not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"{owner}: {argument} of {array.dtype} and shape {array.shape}; expected floats, {shape}.")
    return array
