"""A dearer way to the same sums, taken only where a cheaper one overflows."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool


def instead_if(needed: Bool[Array, ""], sums: Array, way: Callable[[Array], Array], weight: Array) -> Array:
    """Returns the sums as they are or, if needed, `way(weight)`, computed only then.

    A loop of at most one turn, and no `jax.lax.cond`, which under `vmap` would always compute both. Its body has to
    depend on what the loop changes: the compiler moves whatever does not out of the loop, and runs it always.
    """

    def turn(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        still_needed, _ = carry
        return jnp.zeros_like(still_needed), way(jnp.where(still_needed, weight, 0))

    return jax.lax.while_loop(lambda carry: carry[0], turn, (needed, sums))[1]
