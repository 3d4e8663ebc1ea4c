"""A scan with draws in it that stays a scan."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hnca.programs.equations import Equation, Program
from hnca.programs.magnitudes import EXACT, WIDE, bounds_of


class Places(NamedTuple):
    """Where a scan's arguments stand: first the fixed ones, then what is carried, then what is stacked by step.

    Attributes:
        begun: where the fixed ones end and what is carried begins.
        ended: where what is carried ends.
    """

    begun: int
    ended: int

    @property
    def carried(self) -> int:
        """How many arrays are carried; they are the first results too."""
        return self.ended - self.begun


def places_of(equation: Any) -> Places:
    """Returns where a jaxpr's scan has its arguments."""
    inner = equation.params["jaxpr"].jaxpr
    # What is stacked has one axis more outside than in a step: no other mark of it is the same in every JAX.
    stacks = sum(_rank(o) > _rank(i) for o, i in zip(equation.invars, inner.invars, strict=True))
    carried = sum(_rank(o) == _rank(i) for o, i in zip(equation.outvars, inner.outvars, strict=True))
    ended = len(equation.invars) - stacks
    return Places(ended - carried, ended)


def _rank(atom: Any) -> int:
    return len(atom.aval.shape)


@dataclass(frozen=True)
class Loop(Equation):
    """A scan whose steps are a program with draws of its own.

    Attributes:
        body: one step: of the fixed arguments, what is carried and the step's rows; returns what is carried on and the
            step's rows of the results.
        places: where its arguments stand.
        added: for what only grows by what each step adds to it, by its place among what is carried: which of the
            results has these additions, stacked.
    """

    body: Program
    places: Places
    added: dict[int, int]

    @property
    def length(self) -> int:
        """How many steps it has."""
        return int(self.params["length"])

    @property
    def reverse(self) -> bool:
        """Whether it goes through what is stacked from the end."""
        return bool(self.params["reverse"])

    def stacks(self, value: int) -> bool:
        """Returns whether a value is one of its results, and has a row for each step."""
        return value in self.outputs[self.places.carried :]


class Addend(NamedTuple):
    """What is added to a sum, or taken from it."""

    value: int
    sign: int


def addends(program: Program, total: int, start: int) -> list[Addend] | None:
    """Returns what has been added to one value to make another of its shape and dtype; None where it is more than that.

    Args:
        program: of both.
        total: the value made.
        start: the value it began as.
    """
    if total == start:
        return []
    equation = program.producers.get(total)
    aval = program.avals[start]
    same = [v for v in (equation.inputs if equation is not None else ()) if program.avals[v].update() == aval.update()]
    if equation is None or equation.name not in ("add", "add_any", "sub"):
        return None
    first, second = equation.inputs
    if first in same and (before := addends(program, first, start)) is not None:
        return [*before, Addend(second, -1 if equation.name == "sub" else 1)]
    if equation.name != "sub" and second in same and (before := addends(program, second, start)) is not None:
        return [*before, Addend(first, 1)]
    return None


def addition_of(
    program: Program, total: int, start: int, begun: np.ndarray | None, steps: int
) -> tuple[Any, ...] | None:
    """Returns the function, and the values it is of, that gives what a step adds to one value to make another.

    None where that is nothing, or not all that is done to it, or may wrap before the loop's end.

    Args:
        program: a step.
        total: the value made.
        start: the value it began as.
        begun: what the loop begins with, if the program's text says so.
        steps: how many.
    """
    added = addends(program, total, start)
    if not added or not _adds_up(program, start, added, begun, steps):
        return None
    shape, signs = program.avals[start].shape, [addend.sign for addend in added]

    def together(*parts: Array) -> Array:
        terms = [jnp.broadcast_to(-p if sign < 0 else p, shape) for p, sign in zip(parts, signs, strict=True)]
        return sum(terms[1:], terms[0])

    return together, *(addend.value for addend in added)


def _adds_up(program: Program, start: int, added: Sequence[Addend], begun: np.ndarray | None, steps: int) -> bool:
    """Returns whether the sum is one of numbers: narrow or unsigned whole ones may wrap, and wide ones if large."""
    dtype = program.avals[start].dtype
    if jnp.issubdtype(dtype, jnp.inexact):
        return not jnp.issubdtype(dtype, jnp.complexfloating)
    if dtype not in WIDE or begun is None:
        return False
    bounds = bounds_of(program)
    program.bounds = None  # It is not written to its end yet.
    each = sum(max(map(abs, bounds[addend.value])) for addend in added)
    return float(np.max(np.abs(begun), initial=0)) + steps * each < EXACT


def loops_of(program: Program) -> list[Loop]:
    """Returns the loops with draws in them, in order."""
    return [equation for equation in program.equations if isinstance(equation, Loop)]
