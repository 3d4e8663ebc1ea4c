"""Warns of a batch of keys that are one key, so that every example draws the same."""

import jax
import jax.numpy as jnp
import numpy as np

from hnca._warning import warn
from hnca.programs.arguments import Flat


def warn_of_one_key_for_all(flat: Flat) -> None:
    """Warns where all keys of a batch are equal, as `jnp.broadcast_to(key, (n,))` makes them.

    Under `jax.jit` none is known.

    Args:
        flat: the arguments of a call.
    """
    for keys, mapped in zip(flat.arrays, flat.mapped, strict=True):
        is_keys = jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
        if not mapped or not is_keys or len(keys) < 2 or isinstance(keys, jax.core.Tracer):
            continue
        numbers = np.asarray(jax.random.key_data(keys))
        if np.all(numbers == numbers[:1]):
            warn(
                f"hnca: all {len(keys)} keys of the batch are one, so that every example draws the same; give each its "
                "own, jax.random.split(key, batch)."
            )
