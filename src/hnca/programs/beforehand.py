"""Which arguments were known before anything was drawn, so that a baseline may read them.

A baseline that reads what was drawn, or what came of it, makes the gradient biased. A program that draws everything
itself is given nothing of the kind. One that is given what draws took, or what was observed, is of a stored episode,
and any argument of it may have come later: a weight, the next observation, a field that the program does not read at
all. What draws' logits are made of was there; that alone do baselines read.
"""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hnca.programs.arguments import Flat, is_key
from hnca.programs.dependence import depends_on, inputs_that_depend
from hnca.programs.equations import Draw, Equation, Program
from hnca.programs.inside import inner_jaxprs, observes
from hnca.programs.known import add_whole_numbers, whole_number
from hnca.programs.loop import Loop
from hnca.programs.primitives import ELEMENTWISE

LOGITS, GIVEN, OBSERVED = "logits", "given", "observed"
_ALONE, _CALLED = "logits, each by itself", "logits, by a call"

_MOVING = frozenset(
    ["slice", "squeeze", "reshape", "transpose", "rev", "expand_dims", "broadcast_in_dim", "gather", "dynamic_slice"]
)
"""Primitives that put elements elsewhere, and compute nothing of them."""

_NOTHING = np.zeros(0, int)


def seen(program: Program, flat: Flat, dtype: jnp.dtype) -> Float[Array, "batch size"] | None:
    """Returns all numbers that differ by example and were known beforehand, side by side, for baselines to read."""
    ends = _ends(program, {*program.inputs, *program.constants})
    is_stored = GIVEN in ends or OBSERVED in ends
    fixed = _fixed(program) if is_stored else {}
    numbers = []
    for number, array, mark in zip(program.inputs, flat.arrays, flat.mapped, strict=True):
        if not mark or is_key(array) or array.dtype == jnp.uint32:
            continue
        rows = jnp.reshape(jax.lax.stop_gradient(array), (array.shape[0], -1)).astype(dtype)
        known = _known_beforehand(program, number, fixed) if is_stored else np.ones(program.avals[number].shape, bool)
        if program.avals[number].shape == array.shape:  # The program is of the whole batch.
            known = np.asarray(known.all(axis=0))
        places = np.flatnonzero(known)
        numbers += [rows if len(places) == rows.shape[1] else rows[:, places]] if len(places) else []
    return jnp.concatenate(numbers, axis=-1) if numbers else None


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


def _known_beforehand(program: Program, source: int, fixed: Mapping[int, np.ndarray]) -> Bool[np.ndarray, "*shape"]:
    """Returns the elements of a value that logits are made of, and that no draw is given.

    An array may hold an observation and what came of it side by side, so that elements are followed as long as they are
    only put elsewhere. Of an array some of whose elements are observed or given, those do not count that reach logits
    mixed with others and are observed, nor what goes into a call that is not looked into.
    """
    shape = program.avals[source].shape
    places = {source: np.arange(int(np.prod(shape, dtype=int))).reshape(shape)}
    marked = {end: np.zeros(shape, bool) for end in (LOGITS, GIVEN, OBSERVED, _ALONE, _CALLED)}

    def mark(ends: Iterable[str], elements: np.ndarray) -> None:
        for end in ends:
            marked[end].flat[elements[elements >= 0]] = True

    for step in program.steps:
        if isinstance(step, Draw):
            mark([_ALONE], places.get(step.logits, _NOTHING))
            mark([GIVEN], _NOTHING if step.given is None else places.get(step.given, _NOTHING))
            continue
        for value in places.keys() & set(step.inputs):
            moved = _moved(program, step, value, places, fixed)
            if moved is not None:
                places[step.outputs[0]] = moved
            else:
                mark(_ends_of_equation(program, step, value), places[value])
    later = marked[OBSERVED] | marked[GIVEN]
    several = bool(np.any(later)) and not np.all(later)
    mixed = marked[LOGITS] & ~(marked[OBSERVED] & several)
    return np.asarray((marked[_ALONE] | mixed | (marked[_CALLED] & (not several))) & ~marked[GIVEN])


def _fixed(program: Program) -> dict[int, np.ndarray]:
    """Returns the whole numbers that follow from a program's text and the arrays it closes over, and what it says."""
    found: dict[int, np.ndarray] = {}
    for equation in program.equations:
        add_whole_numbers(program, equation, found)
    told = {value: whole_number(program, value, found) for value in (*program.constants, *program.known, *found)}
    return {value: number for value, number in told.items() if number is not None}


def _ends_of_equation(program: Program, equation: Equation, value: int) -> set[str]:
    """Returns what becomes of a value by way of one equation that reads it."""
    ends = _ends(program, set(equation.outputs)) | ({OBSERVED} if observes(equation.original) else set())
    if isinstance(equation, Loop):
        inside = _ends(equation.body, inputs_that_depend(equation, {value}, through_draws=False))
        # Where its steps read elements apart, and observe some, is not followed: then none of them counts as known.
        ends |= inside - {LOGITS} if OBSERVED in inside else inside
    elif LOGITS in ends and inner_jaxprs(equation.params):
        ends = ends - {LOGITS} | {_CALLED}
    return ends


def _moved(
    program: Program,
    equation: Equation,
    value: int,
    places: Mapping[int, np.ndarray],
    fixed: Mapping[int, np.ndarray],
) -> np.ndarray | None:
    """Returns where the elements of a value are after an equation; None where it does more than put them elsewhere."""
    others = [other for other in equation.inputs if other != value]
    alone = len(others) == len(equation.inputs) - 1
    if equation.name in ELEMENTWISE and alone and places.keys().isdisjoint(others):
        same = program.avals[equation.outputs[0]].shape == program.avals[value].shape
        return places[value] if same else None
    if equation.name not in _MOVING or equation.inputs[0] != value or not all(other in fixed for other in others):
        return None
    with jax.ensure_compile_time_eval():
        arguments = [jnp.asarray(places[value]), *(jnp.asarray(fixed[other]) for other in equation.inputs[1:])]
        return np.asarray(equation.filled_with(-1).apply(arguments)[0])
