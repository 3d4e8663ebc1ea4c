"""What conditionals check when they are built, and how a bias meets the batch."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array

from hnca._options import is_count


def checked_size(owner: str, argument: str, size: object, least: int = 1) -> int:
    """Returns the size; what is no whole number, or is below the least, is a ValueError."""
    if not is_count(size, least):
        raise ValueError(f"{owner}: {argument}={size!r}; expected a whole number of at least {least}.")
    return int(size)  # type: ignore[call-overload]


def checked_sizes(owner: str, argument: str, sizes: object, least: int = 1) -> tuple[int, ...]:
    """Returns one size, or several, as a tuple; what is none is a ValueError."""
    if not isinstance(sizes, Sequence | np.ndarray) or isinstance(sizes, str | bytes):
        return (checked_size(owner, argument, sizes, least),)
    return tuple(checked_size(owner, argument, size, least) for size in sizes)


def dtype_of_parameters(owner: str, dtype: DTypeLike | None) -> np.dtype:
    """Returns the dtype, JAX's default float for None; what is no float's is a ValueError."""
    if dtype is None:
        return jnp.result_type(float)
    try:
        found = jnp.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if found is None or not jnp.issubdtype(found, jnp.floating):
        raise ValueError(f"{owner}: dtype={dtype!r}; expected that of a float, such as jnp.float32.")
    return found


def over_batch(vector: Array, batch_shape: tuple[int, ...]) -> Array:
    """Returns a vector with a leading axis of 1 for every batch axis that it has not itself.

    A vector for every example, `[*batch, size]`, is one for all passes of it too.
    """
    return vector.reshape((1,) * (len(batch_shape) + 1 - vector.ndim) + vector.shape)
