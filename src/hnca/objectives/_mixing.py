"""Finding a function that was written for one example and closes over the whole batch."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hnca._warning import warn


def refuse_batch(owner: str, name: str, constants: Sequence[Array], values: Array, axes: int) -> None:
    """Raises a ValueError if one of a function's constants is the whole batch of an input.

    Where values are not known (under `jax.jit`) a constant of the batch's very shape is a warning: it may be one of
    another meaning.

    Args:
        owner: whose function it is, for the message.
        name: of the input.
        constants: what the function closes over.
        values: of the input, `[*batch, *its shape]`.
        axes: how many batch axes there are; the first may be that of several passes over one batch.
    """
    message = (
        f"{owner}: the function closes over the whole batch of {name!r}, and so mixes examples; expected one example's "
        f"as an argument, inputs=({name!r},)."
    )
    for skipped in range(min(axes, 2)):
        batch = values if skipped == 0 else values[0]
        for constant in constants:
            if constant is values:
                raise ValueError(message)
            if jnp.shape(constant) != values.shape[skipped:] or jnp.ndim(constant) < 2:
                continue
            if isinstance(constant, jax.core.Tracer) or isinstance(values, jax.core.Tracer):
                warn(f"{message} (If it only has that shape, pay no heed.)")
            elif bool(jnp.all(jnp.asarray(constant) == batch)):
                raise ValueError(message)
