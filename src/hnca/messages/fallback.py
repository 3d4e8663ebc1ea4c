"""A dearer way to the same sums, taken only where a cheaper one would leave the range of floats or lose digits."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool

Way = Callable[..., Array]


def safe_exponent(dtype: DTypeLike) -> float:
    """Returns up to which exponent products of probabilities and exponentials neither overflow nor lose what counts.

    A probability that is rounded to 0 may be that much too small, and then has to be too small to be seen.
    """
    return 0.8 * float(np.log(float(jnp.finfo(dtype).max)))


def fast_unless(unsafe: Bool[Array, ""], fast: Way, always: Way, *arguments: Array) -> Array:
    """Returns `fast(*arguments)` or, where that is unsafe, `always(*arguments)`; the derivative is that of `always`.

    Args:
        unsafe: judged by the range of the inputs.
        fast: right where it is safe.
        always: right everywhere, and dearer.
        arguments: all that the two read, as neither may close over an array that is being traced; the first one is
            what there is no exponential to be taken of if it is 0, such as a weight.
    """

    @jax.custom_jvp
    def chosen(unsafe: Array, *arguments: Array) -> Array:
        return instead_if(unsafe, fast(*arguments), lambda first: always(first, *arguments[1:]), arguments[0])

    @chosen.defjvp
    def derivative(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        return jax.jvp(always, primals[1:], tangents[1:])

    return chosen(unsafe, *arguments)


def instead_if(needed: Bool[Array, ""], sums: Array, way: Callable[[Array], Array], weight: Array) -> Array:
    """Returns the sums as they are or, if needed, `way(weight)`, computed only then.

    A loop of at most one turn, and no `jax.lax.cond`, which under `vmap` would always compute both. Its body has to
    depend on what the loop changes: the compiler moves whatever does not out of the loop, and runs it always.
    """

    def turn(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        still_needed, _ = carry
        return jnp.zeros_like(still_needed), way(jnp.where(still_needed, weight, 0))

    return jax.lax.while_loop(lambda carry: carry[0], turn, (needed, sums))[1]
