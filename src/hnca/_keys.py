"""What is checked of a key before anything is drawn by it."""

from typing import Any

import jax
import jax.numpy as jnp


def required_key(owner: str, key: Any, of: str = "for the whole batch") -> Any:
    """Returns the key; None is a ValueError too, arguments else as for `require_one_key`."""
    if key is None:
        raise ValueError(f"{owner}: key=None; expected one key {of}, such as jax.random.key(0).")
    require_one_key(owner, "key", key, of)
    return key


def require_one_key(owner: str, argument: str, key: Any, of: str = "for the whole batch") -> None:
    """Raises a ValueError for what is no key, typed or raw (of `jax.random.PRNGKey`), or several; None passes.

    Args:
        owner: what it is given to, for the message.
        argument: its argument.
        key: what was given.
        of: what one key is for.
    """
    if key is None:
        return
    dtype, shape = getattr(key, "dtype", type(key).__name__), jnp.shape(key)
    is_raw = dtype == jnp.uint32 and len(shape) == 1
    if not is_raw and (isinstance(dtype, str) or not jnp.issubdtype(dtype, jax.dtypes.prng_key) or shape):
        raise ValueError(
            f"{owner}: {argument} of dtype {dtype} and shape {shape}; expected one key {of}, such as jax.random.key(0)."
        )
