"""Finding a function that was written for one example and closes over the whole batch."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hnca._options import known_numbers
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
        for constant in constants:
            if constant is values:
                raise ValueError(message)
            if jnp.shape(constant) != values.shape[skipped:] or jnp.ndim(constant) < 2:
                continue
            numbers, known = known_numbers(constant), known_numbers(values)
            if numbers is None or known is None:
                warn(f"{message} (If it only has that shape, pay no heed.)")
            elif np.all(numbers == (known if skipped == 0 else known[0])):
                raise ValueError(message)
