"""Tells draws by `jax.random` of what is learned: noise, something learned, and a step that leaves a discrete value."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from hnca.programs import primitives
from hnca.programs.calls import NONE, Inner, Marks, Search, found_inside

RANDOM, LEARNED = "random", "learned"
SUM = "sum"
"""Of noise and something learned, as `w + noise`, of which a step makes a draw where a comparison would of the two."""

_ALONE = (frozenset({RANDOM}), frozenset({LEARNED}), NONE)
_STRETCHES = primitives.STRUCTURAL | {"neg", "mul", "div", "convert_element_type", "copy", "copy_p"}
"""What leaves a sum one, if it reads nothing else that is marked."""
_STEPS = frozenset(["argmax", "argmin", "floor", "ceil", "round", "sign", "top_k", "approx_top_k"])


def marks_of(*, random: bool, learned: bool) -> Marks:
    """Returns what says whether a value comes of noise, and whether of what is learned."""
    return frozenset(mark for mark, has in ((RANDOM, random), (LEARNED, learned)) if has)


def handed_on(equation: Any, operands: Sequence[Marks]) -> Marks:
    """Returns the marks of what an equation of a jaxpr makes, given those of what it reads."""
    name, marks = equation.primitive.name, NONE.union(*operands) - {SUM}
    if name == "stop_gradient":
        return marks - {LEARNED}
    if name == "hnca_draw":
        return NONE  # It is credited.
    if name in primitives.RANDOM:
        return marks | {RANDOM}
    adds = name in ("add", "sub", "add_any") and _meet(operands)
    stretches = name in _STRETCHES and sum(map(bool, operands)) == 1 and any(SUM in each for each in operands)
    return marks | {SUM} if adds or stretches else marks


def is_a_draw(equation: Any, operands: Sequence[Marks], beside: Callable[[int], Iterable[Marks]]) -> bool:
    """Returns whether an equation is how a discrete value is drawn of something learned.

    It is where noise is compared with what is learned, as `jax.random.bernoulli` and `categorical` do, where a step is
    made of their sum, and where both go into a loop, as for `choice`, `poisson` and `binomial`. It is not where
    somebody reads the step's result beside something that the noise has a part in: then the step chooses a piece of a
    function of that, such as a leaky rectifier, which has its derivative.

    Args:
        equation: of a jaxpr.
        operands: the marks of what it reads.
        beside: returns the marks of what else is read by each that reads the result of a number; none where it is
            returned.
    """
    name = equation.primitive.name
    if _is_loop_that_draws(equation, operands):
        return True
    if name in primitives.DRAWN_FROM_BITS and all(SUM not in each for each in operands):
        return _meet(operands)
    stepped, result = _stepped(equation, operands)
    if not _meet(stepped):
        return False
    readers = list(beside(result))
    return bool(readers) and not any(RANDOM in each for each in readers)


def lines_inside(equation: Any, marks: Sequence[Marks], line: str) -> list[str]:
    """Returns the user's lines in which something learned is drawn of, inside of an equation.

    Functions with a derivative of their own are not looked into: it is for them.

    Args:
        equation: of a jaxpr.
        marks: of what it reads.
        line: where it stands, for what has no line of its own.
    """
    return found_inside(equation, marks, line, Search(_draws, handed_on, primitives.CUSTOM_DERIVATIVES))


def _meet(operands: Sequence[Marks]) -> bool:
    """Returns whether noise meets what is learned, each by itself or in a sum, and not in a product."""
    apart = all(each in _ALONE or SUM in each for each in operands)
    return apart and NONE.union(*operands) >= {RANDOM, LEARNED}


def _stepped(equation: Any, operands: Sequence[Marks]) -> tuple[Sequence[Marks], int]:
    """Returns the marks of what an equation makes a step of, and the number of its result that has it."""
    name, params = equation.primitive.name, equation.params
    if name in ("lt", "le", "gt", "ge"):
        return operands, 0
    if name in _STEPS:
        return operands[:1], len(equation.outvars) - 1  # top_k has the values first, which have a derivative
    if name == "convert_element_type":
        from_floats = jnp.issubdtype(equation.invars[0].aval.dtype, jnp.floating)
        return (operands if from_floats and not jnp.issubdtype(params["new_dtype"], jnp.inexact) else ()), 0
    if name == "sort" and len(operands) == 2 and params["num_keys"] == 1 and not operands[1]:
        return operands[:1], 1  # the places, as of argsort
    return (), 0


def _is_loop_that_draws(equation: Any, operands: Sequence[Marks]) -> bool:
    """Returns whether an equation draws from something learned in a loop, as `choice`, `poisson` and `binomial` do.

    One that has a derivative makes floats, and is no `while`.
    """
    if equation.primitive.name not in primitives.LOOPS:
        return False
    if equation.primitive.name == "scan" and any(jnp.issubdtype(v.aval.dtype, jnp.floating) for v in equation.outvars):
        return False
    has_key = any(jnp.issubdtype(atom.aval.dtype, jax.dtypes.prng_key) for atom in equation.invars)
    return (has_key or any(RANDOM in marks for marks in operands)) and any(LEARNED in marks for marks in operands)


def _draws(inner: Inner) -> list[str]:
    def beside(result: int) -> Iterable[Marks]:
        made = inner.equation.outvars[result]
        if made in inner.returned:
            yield NONE
        for reader in inner.readers.get(made, ()):
            others = [atom for atom in reader.invars if not isinstance(atom, Literal) and atom is not made]
            yield NONE.union(*(inner.known.get(atom, NONE) for atom in others))

    return [inner.line] if is_a_draw(inner.equation, inner.marks, beside) else []
