"""Episodes that cannot be are no numbers: neither is their value, nor any part of their gradient."""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hnca.programs.equations import Draw, Program


def can_be_taken(draw: Draw, logits: Array, taken: Array) -> Bool[Array, ""]:
    """Returns whether a draw can be what it is.

    Its logits are to say something: NaN says nothing, and of categories none of which is above minus infinity none can
    be. What it is given is to be one of its values, and not of probability 0, as of an action that is masked.
    """
    row = logits if draw.values is None else logits[..., None]
    possible = jnp.all(jnp.max(row, axis=-1) > -jnp.inf) if draw.values is None else ~jnp.any(jnp.isnan(row))
    if draw.given is None:
        return possible
    # Where one of the two is the same for all examples, it has no axis of them.
    shape = jnp.broadcast_shapes(row.shape[:-1], taken.shape)
    row, taken = jnp.broadcast_to(row, (*shape, row.shape[-1])), jnp.broadcast_to(taken, shape)
    if draw.values is None:
        is_one = (taken >= 0) & (taken < draw.categories)
        place = jnp.where(is_one, taken, 0).astype(jnp.int32)
        above = jnp.take_along_axis(row, place[..., None], axis=-1)[..., 0] > -jnp.inf
        return possible & jnp.all(is_one & above)
    low, high = (taken == jnp.asarray(value, taken.dtype) for value in draw.values)
    return possible & jnp.all((low & (row[..., 0] < jnp.inf)) | (high & (row[..., 0] > -jnp.inf)))


def all_can_be_taken(program: Program, logits: Mapping[int, Array], values: Mapping[int, Array]) -> Bool[Array, ""]:
    """Returns whether every draw can be what it is.

    Args:
        program: without loops that stay.
        logits: of every draw, by output.
        values: of every draw, likewise.
    """
    possible = jnp.ones((), bool)
    for output, draw in program.draws.items():
        possible &= can_be_taken(draw, logits[output], values[output])
    return possible


def number_if(possible: Bool[Array, ""], value: Float[Array, ""], logits: Iterable[Array]) -> Float[Array, ""]:
    """Returns a value as it is, or NaN, with NaN for the derivative by every logit.

    A derivative may have been cut off where logits are infinite, so that a factor of NaN alone would leave it 0.

    Args:
        possible: whether it is.
        value: of which derivatives are asked.
        logits: of all draws, with their derivatives.
    """
    return _number_if(possible, value, list(logits))


@jax.custom_jvp
def _number_if(possible: Bool[Array, ""], value: Float[Array, ""], _: list[Array]) -> Float[Array, ""]:
    return jnp.where(possible, value, jnp.nan)


@_number_if.defjvp
def _derivative_of_a_number_if(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (possible, value, logits), (_, of_value, of_logits) = primals, tangents
    one, none = (jnp.where(possible, number, jnp.nan).astype(value.dtype) for number in (1.0, 0.0))
    moved = sum((jnp.sum(each).astype(value.dtype) for each in of_logits), jnp.zeros((), value.dtype))
    return _number_if(possible, value, logits), one * of_value + none * moved
