"""Which arguments were known before anything was drawn, so that a baseline may read them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.programs.arguments import Flat
from hnca.programs.dependence import depends_on, inputs_that_depend
from hnca.programs.equations import Program
from hnca.programs.inside import observes
from hnca.programs.loop import Loop

LOGITS, GIVEN, OBSERVED = "logits", "given", "observed"


def seen(program: Program, flat: Flat, dtype: jnp.dtype) -> Float[Array, "batch size"] | None:
    """Returns all numbers that differ by example and were known beforehand, side by side, for baselines to read.

    A baseline that reads what was drawn makes the gradient biased. So of a stored episode neither the values that draws
    are given are read, nor what is observed (a reward), unless a draw's logits are made of it too.
    """
    numbers = [
        jnp.reshape(jax.lax.stop_gradient(array), (array.shape[0], -1)).astype(dtype)
        for number, array, mark in zip(program.inputs, flat.arrays, flat.mapped, strict=True)
        if mark
        and not jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
        and array.dtype != jnp.uint32
        and _is_known_beforehand(_ends(program, {number}))
    ]
    return jnp.concatenate(numbers, axis=-1) if numbers else None


def _is_known_beforehand(ends: set[str]) -> bool:
    return GIVEN not in ends and (OBSERVED not in ends or LOGITS in ends)


def _ends(program: Program, sources: set[int]) -> set[str]:
    """Returns what becomes of some values, without a draw between."""
    found = depends_on(program, sources, through_draws=False)
    ends: set[str] = set()
    for draw in program.draws.values():
        ends |= {LOGITS} if draw.logits in found else set()
        ends |= {GIVEN} if draw.given in found else set()
    for equation in program.equations:
        if found.isdisjoint(equation.inputs):
            continue
        if observes(equation.original):
            ends.add(OBSERVED)
        if isinstance(equation, Loop):
            ends |= _ends(equation.body, inputs_that_depend(equation, found, through_draws=False))
    return ends
