"""What is checked of a key before anything is drawn by it."""

from typing import Any

import jax
import jax.numpy as jnp


def require_one_key(owner: str, argument: str, key: Any) -> None:
    """Raises a ValueError for what is no key, typed or raw (of `jax.random.PRNGKey`), or several; None passes."""
    if key is None:
        return
    dtype, shape = getattr(key, "dtype", type(key).__name__), jnp.shape(key)
    is_raw = dtype == jnp.uint32 and len(shape) == 1
    if not is_raw and (isinstance(dtype, str) or not jnp.issubdtype(dtype, jax.dtypes.prng_key) or shape):
        raise ValueError(
            f"{owner}: {argument} of dtype {dtype} and shape {shape}; expected one key for the whole batch, such as "
            "jax.random.key(0)."
        )
