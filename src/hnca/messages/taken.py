"""Tables of a weight at the categories that units have taken, laid out for a CPU's vectors: parents last."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

_UNROLLED = 16


def taken_values(
    parent_values: Int[Array, "*batch parents"], weight: Float[Array, "parents alternatives ..."]
) -> Float[Array, "alternatives batch parents"]:
    """Returns 1 for the categories taken, else 0, the batch flat."""
    parents, alternatives = weight.shape[:2]
    flat = parent_values.reshape(-1, parents)
    return (flat[None] == jnp.arange(alternatives, dtype=flat.dtype)[:, None, None]).astype(weight.dtype)


def at_taken(
    taken: Float[Array, "alternatives batch parents"], table: Float[Array, "*rows alternatives parents"]
) -> Float[Array, "*rows batch parents"]:
    """Returns each row of the table at the categories taken.

    An unrolled loop, which a CPU does several times faster than a sum over a first axis.
    """
    *rows, alternatives, parents = table.shape

    def add(total: Array, alternative: tuple[Array, Array]) -> tuple[Array, None]:
        is_taken, column = alternative
        return total + is_taken[None] * column[:, None], None

    flat = table.reshape(-1, alternatives, parents)
    zeros = jnp.zeros((len(flat), *taken.shape[1:]), table.dtype)
    total, _ = jax.lax.scan(add, zeros, (taken, jnp.moveaxis(flat, 1, 0)), unroll=_UNROLLED)
    return total.reshape(*rows, *taken.shape[1:])
