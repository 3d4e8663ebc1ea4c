"""Finds draws by `jax.random` of what is learned inside of what a program calls: loops, choices, checkpoints."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from hnca.programs import primitives
from hnca.programs.inside import called_inside
from hnca.programs.lines import line_of
from hnca.programs.loop import places_of


class Marks(NamedTuple):
    """What a value comes of.

    Attributes:
        random: whether of noise.
        learned: whether of what is learned.
    """

    random: bool
    learned: bool


_NEITHER = Marks(random=False, learned=False)


def is_drawn(operands: Sequence[Marks]) -> bool:
    """Returns whether a comparison is how `jax.random` draws: of noise with what is learned."""
    noise = any(a.random and not a.learned for a in operands)
    return noise and any(a.learned and not a.random for a in operands)


def draws_in_a_loop(equation: Any, operands: Sequence[Marks]) -> bool:
    """Returns whether an equation draws from something learned in a loop, as `choice`, `poisson` and `binomial` do.

    One that has a derivative makes floats, and is no `while`.
    """
    if equation.primitive.name not in primitives.LOOPS:
        return False
    if equation.primitive.name == "scan" and any(jnp.issubdtype(v.aval.dtype, jnp.floating) for v in equation.outvars):
        return False
    has_key = any(jnp.issubdtype(atom.aval.dtype, jax.dtypes.prng_key) for atom in equation.invars)
    return (has_key or any(mark.random for mark in operands)) and any(mark.learned for mark in operands)


def lines_inside(equation: Any, marks: Sequence[Marks], line: str) -> list[str]:
    """Returns the user's lines in which noise is compared with what is learned, inside of an equation.

    Args:
        equation: of a jaxpr.
        marks: of what it reads.
        line: where it stands, for what has no line of its own.
    """
    return _called(equation, marks, line)[0]


def _called(equation: Any, marks: Sequence[Marks], line: str) -> tuple[list[str], list[Marks]]:
    """Returns the lines, and what comes of the equation's results."""
    found: list[str] = []
    made = [_NEITHER] * len(equation.outvars)
    for inner, given in called_inside(equation, marks):
        lines, ends = _over_steps(equation, getattr(inner, "jaxpr", inner), given, line)
        found += lines
        if len(ends) == len(made):  # and not whether a loop goes on
            made = [_either(pair) for pair in zip(made, ends, strict=True)]
    return found, made


def _over_steps(equation: Any, jaxpr: Any, marks: Sequence[Marks], line: str) -> tuple[list[str], list[Marks]]:
    """Returns the lines and the results' marks of what is called, of a loop when nothing new is carried any more."""
    begun = None
    if equation.primitive.name == "scan":
        begun = places_of(equation).begun
    elif equation.primitive.name == "while" and len(jaxpr.outvars) == len(equation.outvars):
        begun = len(marks) - len(jaxpr.outvars)
    found: list[str] = []
    while True:
        lines, ends = _read(jaxpr, marks, line)
        found += lines  # of the first step too: what is compared with it comes of noise in the later ones
        if begun is None:
            return found, ends
        carried = places_of(equation).carried if equation.primitive.name == "scan" else len(ends)
        back = [_either(pair) for pair in zip(marks[begun : begun + carried], ends, strict=False)]
        after = [*marks[:begun], *back, *marks[begun + carried :]]
        if after == list(marks):
            return found, ends
        marks = after


def _read(jaxpr: Any, marks: Sequence[Marks], around: str) -> tuple[list[str], list[Marks]]:
    known = dict(zip(jaxpr.invars, marks, strict=True))
    producers: dict[Any, Any] = {}

    def look_up(atom: Any) -> Marks:
        return _NEITHER if isinstance(atom, Literal) else known.get(atom, _NEITHER)

    found: list[str] = []
    for equation in jaxpr.eqns:
        name, operands = equation.primitive.name, [look_up(atom) for atom in equation.invars]
        line = line_of(equation.source_info) or around
        lines, made = _called(equation, operands, line)
        found += lines
        if not called_inside(equation, operands):
            made = [_either(operands)._replace(random=True) if name in primitives.RANDOM else _either(operands)]
            made *= len(equation.outvars)
        if name == "stop_gradient":
            made = [mark._replace(learned=False) for mark in made]
        if name in ("argmax", "argmin"):
            source = producers.get(equation.invars[0]) if not isinstance(equation.invars[0], Literal) else None
            operands = [look_up(a) for a in source.invars] if source is not None and _adds(source) else []
        if draws_in_a_loop(equation, operands) or (name in primitives.DRAWN_FROM_BITS and is_drawn(operands)):
            found.append(line)
        known.update(zip(equation.outvars, made, strict=True))
        producers.update((variable, equation) for variable in equation.outvars)
    return found, [look_up(atom) for atom in jaxpr.outvars]


def _adds(equation: Any) -> bool:
    return equation.primitive.name in ("add", "sub")


def _either(marks: Sequence[Marks]) -> Marks:
    return Marks(random=any(m.random for m in marks), learned=any(m.learned for m in marks))
