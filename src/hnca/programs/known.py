"""What is known while a program is read: what its text says, and whole numbers of the arrays it closes over."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hnca.programs import primitives
from hnca.programs.equations import Equation, Program
from hnca.programs.inside import called_inside, follows_from_inputs

_MOST_NUMBERS = 2**16
"""How many an array of them may have to be computed while the program is read."""


def fold(program: Program, equation: Equation) -> None:
    """Computes what follows from the program's text alone.

    Args:
        program: the program, whose `known` it is added to.
        equation: that makes it.
    """
    inputs = [program.known.get(value) for value in equation.inputs]
    program.known.update(_computed(program, equation, inputs))


def whole_number(program: Program, value: int, found: dict[int, np.ndarray]) -> np.ndarray | None:
    """Returns what a value is; None where it is computed, and not by equations that `add_whole_numbers` was given.

    Args:
        program: the program.
        value: the value.
        found: what `add_whole_numbers` has found.
    """
    known = program.known.get(value, found.get(value))
    if known is None and value in program.constants and _is_whole(program, value):
        closed_over = program.constants[value]
        known = None if isinstance(closed_over, jax.core.Tracer) else np.asarray(closed_over)
    return known


def add_whole_numbers(program: Program, equation: Equation, found: dict[int, np.ndarray]) -> None:
    """Computes what an equation makes, if it is of whole numbers and so is all that it reads.

    Args:
        program: whose equation.
        equation: the equation; those before it were looked at.
        found: the whole numbers so far, to which those of the equation are added.
    """
    if all(_is_whole(program, output) and output not in program.known for output in equation.outputs):
        inputs = [whole_number(program, value, found) for value in equation.inputs]
        found.update(_computed(program, equation, inputs))


def called_first(program: Program, equation: Any, inputs: Sequence[int]) -> list[tuple[Any, Sequence[int]]]:
    """Returns the jaxprs that an equation calls, as far as is known: none for a loop of no steps, and a known choice.

    Args:
        program: the program.
        equation: of its jaxpr.
        inputs: what it reads.
    """
    called = called_inside(equation, inputs)
    if equation.primitive.name == "cond" and inputs[0] in program.known:
        chosen = int(np.clip(program.known[inputs[0]], 0, len(called) - 1))
        return called[chosen : chosen + 1]
    return called if equation.params.get("length") != 0 else []


def known_first(program: Program, equation: Any, arguments: Sequence[int], body: Program) -> dict[int, np.ndarray]:
    """Returns which inputs of what is called are known, of a loop in its first step.

    Args:
        program: the program.
        equation: of its jaxpr, which calls.
        arguments: what it gives for the inputs; of a loop, what is stacked for its steps too.
        body: what is called.
    """
    first = -1 if equation.params.get("reverse") else 0
    found = {}
    for inner, outer in zip(body.inputs, arguments, strict=True):
        known, shape = program.known.get(outer), body.avals[inner].shape
        if known is not None and known.shape == shape:
            found[inner] = known
        elif known is not None and known.shape[1:] == shape and len(known):
            found[inner] = np.asarray(known[first])
    return found


def _computed(program: Program, equation: Equation, inputs: Sequence[np.ndarray | None]) -> dict[int, np.ndarray]:
    """Returns what an equation makes of what is known, by number; nothing where something is not known, or large."""
    avals = [program.avals[output] for output in equation.outputs]
    if any(a.size > _MOST_NUMBERS or jnp.issubdtype(a.dtype, jax.dtypes.extended) for a in avals):
        return {}
    random = equation.name in primitives.RANDOM | primitives.KEYS
    numbers = [number for number in inputs if number is not None]
    if random or len(numbers) < len(inputs) or not follows_from_inputs(equation.original):
        return {}
    with jax.ensure_compile_time_eval():
        dtypes = [program.avals[value].dtype for value in equation.inputs]
        arguments = [np.asarray(number, dtype) for number, dtype in zip(numbers, dtypes, strict=True)]
        # It hands a number back as it is, and not as JAX's.
        results = arguments if equation.name == "stop_gradient" else equation.apply_to_numbers(arguments)
    return {output: np.asarray(result) for output, result in zip(equation.outputs, results, strict=True)}


def _is_whole(program: Program, value: int) -> bool:
    aval = program.avals[value]
    return aval.size <= _MOST_NUMBERS and (aval.dtype == np.bool_ or jnp.issubdtype(aval.dtype, jnp.integer))
