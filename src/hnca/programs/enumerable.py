"""A call of one example whose draws can be given any values: what enumeration asks of it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.estimators import Estimator
from hnca.programs.crediting import compile_call, credited_call
from hnca.programs.equations import read
from hnca.programs.loops.crediting import compile_loops, credited_loops
from hnca.programs.loops.reach import Place
from hnca.programs.loops.running import run_loops
from hnca.programs.passes import run_pass

Given = Mapping[Any, Array]
"""Values of all draws, by where they stand."""


Places = Mapping[Any, Place]


class Enumerable(NamedTuple):
    """A call of one example.

    Attributes:
        draws: by where they stand.
        run: returns the logits of all draws, by where they stand, and the value.
        credited: returns the value whose derivative is an estimator's estimate.
        dtype: of its estimates.
    """

    draws: Places
    run: Callable[[Given], tuple[Given, Float[Array, ""]]]
    credited: Callable[[Estimator, Given], Float[Array, ""]]
    dtype: jnp.dtype


def enumerable_call(function: Callable[..., Any], arguments: tuple[Any, ...], unroll: bool) -> Enumerable:
    """Returns a call, with its scans unrolled or as they are; errors as for `hnca.value_and_grad`."""
    written = _unrolled if unroll else _looped
    return written("check_unbiased", function, arguments, {}, None, False)


def _unrolled(*call: Any) -> Enumerable:
    compiled = compile_call(*call)
    plan, flat = compiled.plan, compiled.flat
    avals = plan.program.avals
    draws = {output: Place(draw, (), avals[output].dtype) for output, draw in plan.program.draws.items()}

    def run(given: Given) -> tuple[Given, Float[Array, ""]]:
        found, _ = run_pass(plan, flat.arrays, flat.mapped, given)
        return found.logits, found.outputs[0]

    return Enumerable(draws, run, lambda e, given: credited_call(e, compiled, None, None, given)[0], plan.dtype)


def _looped(*call: Any) -> Enumerable:
    looped = compile_loops(*call)
    program, arrays = looped.program, looped.flat.arrays

    def run(given: Given) -> tuple[Given, Float[Array, ""]]:
        held, record = run_loops(program, arrays, given)
        return record.logits, jnp.asarray(read(program, held, program.outputs[0]))

    dtype = program.avals[program.outputs[0]].dtype
    return Enumerable(looped.sites, run, lambda e, given: credited_loops(e, looped, None, given)[0], dtype)
