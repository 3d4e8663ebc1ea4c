"""Tells draws by `jax.random` of what is learned: noise, something learned, and a step that leaves a discrete value."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from hnca.programs import primitives
from hnca.programs.calls import NONE, Inner, Marks, Reader, Search, found_inside

RANDOM, LEARNED = "random", "learned"
SUM = "sum"
"""Of noise and something learned, as `w + noise`, of which a step makes a draw where a comparison would of the two."""

_ALONE = (frozenset({RANDOM}), frozenset({LEARNED}), NONE)
_STRETCHES = primitives.STRUCTURAL | {"neg", "mul", "div", "convert_element_type", "copy", "copy_p"}
"""What leaves a sum one, if it reads nothing else that is marked."""
_STEPS = frozenset(["argmax", "argmin", "floor", "ceil", "round", "sign", "top_k", "approx_top_k"])
_PASSING = frozenset(["convert_element_type", "broadcast_in_dim", "reshape", "squeeze"])
"""What hands a step on as it is, if it is a float as well."""


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


class Place(NamedTuple):
    """Where an equation stands.

    Attributes:
        inputs: what it reads.
        outputs: what it makes.
        readers: the equations that stand beside it, by what they read.
        returned: the results of all of them.
    """

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    readers: Mapping[Any, Sequence[Reader]]
    returned: Container[Any]


def is_a_draw(equation: Any, operands: Sequence[Marks], place: Place) -> bool:
    """Returns whether an equation is how a discrete value is drawn of something learned.

    It is where noise is compared with what is learned, as `jax.random.bernoulli` and `categorical` do, where a step is
    made of their sum, and where both go into a loop, as for `choice`, `poisson` and `binomial`. It is not where the
    step only chooses a piece of a function of that sum, such as a leaky rectifier, which has its derivative.

    Args:
        equation: of a jaxpr.
        operands: the marks of what it reads.
        place: where it stands; the names of values are those of the place.
    """
    name = equation.primitive.name
    if _is_loop_that_draws(equation, operands):
        return True
    if name in primitives.DRAWN_FROM_BITS and all(SUM not in each for each in operands):
        return _meet(operands)
    stepped, result = _stepped(equation, operands)
    made = place.outputs[result]
    is_used = made in place.readers or made in place.returned
    if not is_used or not _meet([operands[i] for i in stepped]):
        return False
    sums = [place.inputs[i] for i in stepped if SUM in operands[i]]
    return not _chooses_a_piece(sums, made, place)


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


def _stepped(equation: Any, operands: Sequence[Marks]) -> tuple[Sequence[int], int]:
    """Returns the places of what an equation makes a step of, and the place of the result that has the step."""
    name, params = equation.primitive.name, equation.params
    if name in ("lt", "le", "gt", "ge"):
        return (0, 1), 0
    if name in _STEPS:
        return (0,), len(equation.outvars) - 1  # top_k has the values first, which have a derivative
    if name == "convert_element_type":
        from_floats = jnp.issubdtype(equation.invars[0].aval.dtype, jnp.floating)
        return ((0,) if from_floats and not jnp.issubdtype(params["new_dtype"], jnp.inexact) else ()), 0
    if name == "sort" and len(operands) == 2 and params["num_keys"] == 1 and not operands[1]:
        return (0,), 1  # the order, as of argsort
    return (), -1


def _chooses_a_piece(sums: Sequence[Any], step: Any, place: Place) -> bool:
    """Returns whether a step is read beside the very sum that it was made of.

    It counts who reads it as a float, or lets it choose between floats: what is asked of whole numbers on the way, as
    of an index whether it is negative, is followed.

    Args:
        sums: what the step was made of.
        step: its result.
        place: where it stands.
    """
    of_sums = _made_of(sums, place, without=step)
    found, seen = [step], {step}
    while found:
        for reader in place.readers.get(found.pop(), ()):
            if any(not isinstance(i, Literal) and i in of_sums for i in reader.inputs):
                return True
            passes = reader.name in _PASSING or not any(jnp.issubdtype(a.dtype, jnp.inexact) for a in reader.avals)
            new = [each for each in reader.outputs if passes and each not in seen]
            found += new
            seen.update(new)
    return False


def _made_of(values: Iterable[Any], place: Place, without: Any) -> set[Any]:
    """Returns some values and what is made of them otherwise than by way of one."""
    found = list(values)
    made = set(found)
    while found:
        for reader in place.readers.get(found.pop(), ()):
            new = [each for each in reader.outputs if each not in made and without not in reader.outputs]
            found += new
            made.update(new)
    return made


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
    place = Place(inner.equation.invars, inner.equation.outvars, inner.readers, inner.returned)
    return [inner.line] if is_a_draw(inner.equation, inner.marks, place) else []
