"""Tells draws by `jax.random` of what is learned: noise, something learned, and a step that leaves a discrete value."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from hnca.programs import primitives
from hnca.programs.calls import NONE, Inner, Marks, Reader, Search, found_inside

RANDOM, LEARNED = "random", "learned"
NOISY = "noisy"
"""Where noise met what is learned, as in `w + scale * noise`: a step of it makes a draw, as comparing the two does."""

_FUNCTIONS = frozenset(["abs", "clamp", "convert_element_type", "copy", "copy_p", "max", "min", "neg"]) | {
    "exp",
    "exp2",
    "log",
    "log1p",
    "expm1",
    "logistic",
    "tanh",
    "erf",
    "sqrt",
    "square",
    "integer_pow",
    "pow",
}
"""What is made number by number, and goes with its argument."""
_ALONE = (frozenset({RANDOM}), frozenset({LEARNED}), NONE)
_BOTH = frozenset({RANDOM, LEARNED})
_MEETING = frozenset(["add", "sub", "add_any", "mul", "div"])
"""Where noise meets something learned, number by number."""
_STRETCHES = primitives.STRUCTURAL | _MEETING | _FUNCTIONS
"""What leaves a noisy value one, whatever else it reads."""
_STEPS = frozenset(["argmax", "argmin", "floor", "ceil", "round", "sign", "top_k", "approx_top_k"])
_PASSING = frozenset(["convert_element_type", "broadcast_in_dim", "reshape", "squeeze"])
"""What hands a step on as it is, if it is a float as well."""


def marks_of(*, random: bool, learned: bool) -> Marks:
    """Returns what says whether a value comes of noise, and whether of what is learned."""
    return frozenset(mark for mark, has in ((RANDOM, random), (LEARNED, learned)) if has)


def handed_on(equation: Any, operands: Sequence[Marks]) -> Marks:
    """Returns the marks of what an equation of a jaxpr makes, given those of what it reads."""
    name, marks = equation.primitive.name, NONE.union(*operands) - {NOISY}
    if name == "stop_gradient":
        return marks - {LEARNED}
    if name == "hnca_draw":
        return NONE  # It is credited.
    if name in primitives.RANDOM:
        return marks | {RANDOM}
    meets = name in _MEETING and marks >= _BOTH
    stretches = name in _STRETCHES and any(NOISY in each for each in operands)
    return marks | {NOISY} if meets or stretches else marks


class Place(NamedTuple):
    """Where an equation stands.

    Attributes:
        inputs: what it reads.
        outputs: what it makes.
        readers: the equations that stand beside it, by what they read.
        returned: the results of all of them.
        origins: returns the noisy values that a value is made of at once.
    """

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    readers: Mapping[Any, Sequence[Reader]]
    returned: Container[Any]
    origins: Callable[[Any], Sequence[Any]]


def is_a_draw(equation: Any, operands: Sequence[Marks], place: Place) -> bool:
    """Returns whether an equation is how a discrete value is drawn of something learned.

    It is where noise is compared with what is learned, as `jax.random.bernoulli` and `categorical` do, where a step is
    made of both, as of their sum, and where both go into a loop, as for `choice`, `poisson` and `binomial`. It is not
    where the step only chooses a piece of a function of them, such as a leaky rectifier, which has its derivative.

    Args:
        equation: of a jaxpr.
        operands: the marks of what it reads.
        place: where it stands; the names of values are those of the place.
    """
    name = equation.primitive.name
    if _is_loop_that_draws(equation, operands):
        return True
    if name in primitives.DRAWN_FROM_BITS and all(NOISY not in each for each in operands):
        return _meet(operands)
    stepped, result = _stepped(equation, operands)
    made = place.outputs[result]
    is_used = made in place.readers or made in place.returned
    if not is_used or not _meet([operands[i] for i in stepped]):
        return False
    noisy = [place.inputs[i] for i in stepped if NOISY in operands[i]]
    return not _chooses_a_piece(noisy, made, place)


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
    """Returns whether noise meets what is learned, each by itself or where they have met number by number."""
    apart = all(each in _ALONE or NOISY in each for each in operands)
    return apart and NONE.union(*operands) >= _BOTH


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


def _chooses_a_piece(noisy: Sequence[Any], step: Any, place: Place) -> bool:
    """Returns whether a step is read beside what it was made of, or that was made of.

    It counts who reads it as a float, or lets it choose between floats: what is asked of whole numbers on the way, as
    of an index whether it is negative, is followed.

    Args:
        noisy: what the step was made of.
        step: its result.
        place: where it stands.
    """
    beside = _made_of(_come_from(noisy, place), place, without=step)
    found, seen = [step], {step}
    while found:
        for reader in place.readers.get(found.pop(), ()):
            if any(not isinstance(i, Literal) and i in beside for i in reader.inputs):
                return True
            new = [each for each in reader.outputs if _passes(reader.equation) and each not in seen]
            found += new
            seen.update(new)
    return False


def _passes(equation: Any) -> bool:
    """Returns whether what an equation makes is the step that it reads, or is no float."""
    called = primitives.ALWAYS_INLINED.get(equation.primitive.name)
    if called is not None:
        return all(_passes(inner) for inner in equation.params[called].eqns)
    return equation.primitive.name in _PASSING or not any(
        jnp.issubdtype(variable.aval.dtype, jnp.inexact) for variable in equation.outvars
    )


def _come_from(values: Iterable[Any], place: Place) -> list[Any]:
    """Returns some values and all noisy ones that they are made of."""
    found = list(values)
    for value in found:
        found += [each for each in place.origins(value) if each not in found]
    return found


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
    def origins(value: Any) -> list[Any]:
        atoms = inner.producers[value].invars if value in inner.producers else ()
        return [each for each in atoms if not isinstance(each, Literal) and NOISY in inner.known.get(each, NONE)]

    place = Place(inner.equation.invars, inner.equation.outvars, inner.readers, inner.returned, origins)
    return [inner.line] if is_a_draw(inner.equation, inner.marks, place) else []
