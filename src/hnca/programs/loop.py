"""A scan with draws in it that stays a scan."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from hnca.programs.equations import Equation, Program


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


def loops_of(program: Program) -> list[Loop]:
    """Returns the loops with draws in them, in order."""
    return [equation for equation in program.equations if isinstance(equation, Loop)]
