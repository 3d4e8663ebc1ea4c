"""Looks into what a program calls, and does not write out: loops, choices, checkpoints, rules for derivatives.

What is looked for depends on what a value comes of, such as noise, draws or parameters: each has a set of marks, which
go from what an equation reads to what it makes, in a loop from step to step too.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from jax.extend.core import Literal

from hnca.programs.inside import called_inside
from hnca.programs.lines import line_of
from hnca.programs.loop import places_of

T = TypeVar("T")
Marks = frozenset[str]
NONE: Marks = frozenset()


class Reader(NamedTuple):
    """What an equation reads and makes.

    Attributes:
        inputs: literals among them.
        outputs: what it makes.
        equation: of a jaxpr, where the values may have other names.
    """

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    equation: Any


class Inner(NamedTuple):
    """An equation inside of a call.

    Attributes:
        equation: of a jaxpr.
        marks: of what it reads.
        line: the user's line.
        producers: the equations that stand beside it, by what they make.
        known: the marks of what they make, and of what the call is given.
        readers: the equations that stand beside it, by what they read.
        returned: what the call returns.
    """

    equation: Any
    marks: Sequence[Marks]
    line: str
    producers: Mapping[Any, Any]
    known: Mapping[Any, Marks]
    readers: Mapping[Any, Sequence[Reader]]
    returned: Container[Any]


def as_read(_: Any, marks: Sequence[Marks]) -> Marks:
    """Has an equation's results come of all that it reads."""
    return NONE.union(*marks)


@dataclass(frozen=True)
class Search(Generic[T]):
    """What is looked for.

    Attributes:
        find: returns what is found at one equation.
        handed_on: returns the marks of what an equation makes, given those of each that it reads.
        closed: the primitives whose calls are not looked into.
    """

    find: Callable[[Inner], Sequence[T]]
    handed_on: Callable[[Any, Sequence[Marks]], Marks] = as_read
    closed: Container[str] = ()


def found_inside(equation: Any, marks: Sequence[Marks], line: str, search: Search[T]) -> list[T]:
    """Returns what is found inside of an equation.

    Args:
        equation: of a jaxpr.
        marks: of what it reads.
        line: where it stands, for what has no line of its own.
        search: what is looked for.
    """
    return _called(equation, marks, line, search)[0]


def _called(equation: Any, marks: Sequence[Marks], line: str, search: Search[T]) -> tuple[list[T], list[Marks]]:
    """Returns what is found inside of an equation, and the marks of what it makes."""
    calls = [] if equation.primitive.name in search.closed else called_inside(equation, marks)
    if not calls:
        return [], [search.handed_on(equation, marks)] * len(equation.outvars)
    found: list[T] = []
    made = [NONE] * len(equation.outvars)
    for inner, given in calls:
        some, ends = _over_steps(equation, getattr(inner, "jaxpr", inner), given, line, search)
        found += some
        if len(ends) == len(made):  # and not whether a loop goes on
            made = [one | other for one, other in zip(made, ends, strict=True)]
    return found, made


def _over_steps(
    equation: Any, jaxpr: Any, marks: Sequence[Marks], line: str, search: Search[T]
) -> tuple[list[T], list[Marks]]:
    """Returns what is found, and the results' marks, of a loop when nothing new is carried any more."""
    begun, ended = 0, 0
    if equation.primitive.name == "scan":
        begun, ended = places_of(equation)
    elif equation.primitive.name == "while" and len(jaxpr.outvars) == len(equation.outvars):
        begun, ended = len(marks) - len(jaxpr.outvars), len(marks)
    found: list[T] = []
    while True:
        some, ends = _read(jaxpr, marks, line, search)
        found += some  # of the first step too, where less comes of anything
        back = [one | other for one, other in zip(marks[begun:ended], ends, strict=False)]
        after = [*marks[:begun], *back, *marks[ended:]]
        if after == list(marks):
            return found, ends
        marks = after


def _read(jaxpr: Any, marks: Sequence[Marks], around: str, search: Search[T]) -> tuple[list[T], list[Marks]]:
    known: dict[Any, Marks] = dict(zip(jaxpr.invars, marks, strict=True))
    producers: dict[Any, Any] = {}
    readers: dict[Any, list[Reader]] = {}
    returned = {atom for atom in jaxpr.outvars if not isinstance(atom, Literal)}

    def look_up(atom: Any) -> Marks:
        return NONE if isinstance(atom, Literal) else known.get(atom, NONE)

    inner: list[tuple[Inner, list[T]]] = []
    for equation in jaxpr.eqns:
        operands = [look_up(atom) for atom in equation.invars]
        line = line_of(equation.source_info) or around
        some, made = _called(equation, operands, line, search)
        inner.append((Inner(equation, operands, line, producers, known, readers, returned), some))
        known.update(zip(equation.outvars, made, strict=True))
        producers.update((variable, equation) for variable in equation.outvars)
        reader = Reader(equation.invars, equation.outvars, equation)
        for atom in reader.inputs:
            if not isinstance(atom, Literal):
                readers.setdefault(atom, []).append(reader)
    found = [each for one, some in inner for each in (*some, *search.find(one))]
    return found, [look_up(atom) for atom in jaxpr.outvars]
