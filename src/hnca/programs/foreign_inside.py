"""Finds draws by `jax.random` of what is learned inside of what a program calls."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from hnca.programs import primitives
from hnca.programs.calls import NONE, Inner, Marks, Search, found_inside

RANDOM, LEARNED = "random", "learned"


def marks_of(*, random: bool, learned: bool) -> Marks:
    """Returns what says whether a value comes of noise, and whether of what is learned."""
    return frozenset(mark for mark, has in ((RANDOM, random), (LEARNED, learned)) if has)


def is_drawn(operands: Sequence[Marks]) -> bool:
    """Returns whether a comparison is how `jax.random` draws: of noise with what is learned."""
    return any(a == {RANDOM} for a in operands) and any(a == {LEARNED} for a in operands)


def draws_in_a_loop(equation: Any, operands: Sequence[Marks]) -> bool:
    """Returns whether an equation draws from something learned in a loop, as `choice`, `poisson` and `binomial` do.

    One that has a derivative makes floats, and is no `while`.
    """
    if equation.primitive.name not in primitives.LOOPS:
        return False
    if equation.primitive.name == "scan" and any(jnp.issubdtype(v.aval.dtype, jnp.floating) for v in equation.outvars):
        return False
    has_key = any(jnp.issubdtype(atom.aval.dtype, jax.dtypes.prng_key) for atom in equation.invars)
    return (has_key or any(RANDOM in marks for marks in operands)) and any(LEARNED in marks for marks in operands)


def lines_inside(equation: Any, marks: Sequence[Marks], line: str) -> list[str]:
    """Returns the user's lines in which noise is compared with what is learned, inside of an equation.

    Functions with a derivative of their own are not looked into: it is for them.

    Args:
        equation: of a jaxpr.
        marks: of what it reads.
        line: where it stands, for what has no line of its own.
    """
    return found_inside(equation, marks, line, Search(_draws, _handed_on, primitives.CUSTOM_DERIVATIVES))


def _draws(inner: Inner) -> list[str]:
    name, operands = inner.equation.primitive.name, inner.marks
    if name in ("argmax", "argmin"):
        atom = inner.equation.invars[0]
        source = None if isinstance(atom, Literal) else inner.producers.get(atom)
        terms = source.invars if source is not None and source.primitive.name in ("add", "sub") else []
        operands = [NONE if isinstance(term, Literal) else inner.known.get(term, NONE) for term in terms]
    compares = name in primitives.DRAWN_FROM_BITS and is_drawn(operands)
    return [inner.line] if compares or draws_in_a_loop(inner.equation, operands) else []


def _handed_on(equation: Any, marks: Marks) -> Marks:
    name = equation.primitive.name
    if name == "stop_gradient":
        return marks - {LEARNED}
    return marks | {RANDOM} if name in primitives.RANDOM else marks
