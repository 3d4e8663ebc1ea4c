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
_COMPARISONS = frozenset(["lt", "le", "gt", "ge", "lt_to", "le_to"])
_STEPS = frozenset(["argmax", "argmin", "floor", "ceil", "round", "sign", "top_k", "approx_top_k"])
_LOOKING_UP = primitives.STRUCTURAL | {"select_n"}
_INTERPOLATING = frozenset(["sub", "mul", "div"])
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
        made_of: returns what a value is made of at once, literals among it.
        is_noisy: returns whether a value is noisy.
    """

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    readers: Mapping[Any, Sequence[Reader]]
    returned: Container[Any]
    made_of: Callable[[Any], Sequence[Any]]
    is_noisy: Callable[[Any], bool]


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
    if name in _COMPARISONS | {"argmax", "argmin"} and all(NOISY not in each for each in operands):
        return _meet(operands)
    stepped, results = _stepped(equation, operands)
    if not _meet([operands[i] for i in stepped]):
        return False
    noisy = [place.inputs[i] for i in stepped if NOISY in operands[i]]
    used = [made for made in place.outputs[results] if made in place.readers or made in place.returned]
    return any(not _chooses_a_piece(noisy, made, place) for made in used)


def lines_inside(equation: Any, marks: Sequence[Marks], line: str) -> list[str]:
    """Returns the user's lines in which something learned is drawn of, inside of an equation.

    Functions with a derivative of their own are not looked into: it is for them. Nor are loops of whole numbers that
    something noisy goes into: they are a step as a whole.

    Args:
        equation: of a jaxpr.
        marks: of what it reads.
        line: where it stands, for what has no line of its own.
    """
    if equation.primitive.name == "scan" and _is_of_whole_numbers(equation) and any(NOISY in each for each in marks):
        return []
    return found_inside(equation, marks, line, Search(_draws, handed_on, primitives.CUSTOM_DERIVATIVES))


def _meet(operands: Sequence[Marks]) -> bool:
    """Returns whether noise meets what is learned, each by itself or where they have met number by number."""
    apart = all(each in _ALONE or NOISY in each for each in operands)
    return apart and NONE.union(*operands) >= _BOTH


def _stepped(equation: Any, operands: Sequence[Marks]) -> tuple[Sequence[int], slice]:
    """Returns the places of what an equation makes a step of, and those of the results that have the step."""
    name, params = equation.primitive.name, equation.params
    if name in _COMPARISONS:
        return (0, 1), slice(1)
    if name in _STEPS:
        return (0,), slice(len(equation.outvars) - 1, None)  # top_k has the values first, which have a derivative
    if name == "convert_element_type":
        from_floats = jnp.issubdtype(equation.invars[0].aval.dtype, jnp.floating)
        return ((0,) if from_floats and not jnp.issubdtype(params["new_dtype"], jnp.inexact) else ()), slice(1)
    if name == "scan" and _is_of_whole_numbers(equation):
        return tuple(place for place, marks in enumerate(operands) if marks), slice(None)  # as of searchsorted
    if name == "sort" and len(operands) == 2 and params["num_keys"] == 1 and not operands[1]:
        return (0,), slice(1, 2)  # the order, as of argsort
    return (), slice(0)


def _chooses_a_piece(noisy: Sequence[Any], step: Any, place: Place) -> bool:
    """Returns whether a step is read beside what it was made of, or that was made of.

    It counts who reads it as a float, or lets it choose between floats: what is asked of whole numbers on the way, as
    of an index whether it is negative, is followed. So it does who takes what a step finds in a table from the noisy
    value or multiplies the two, as interpolation does.

    Args:
        noisy: what the step was made of.
        step: its result.
        place: where it stands.
    """
    beside = _made_of(_come_from(noisy, place), place, without=step)
    found, seen = [(step, False)], {step}
    while found:
        value, looked_up = found.pop()
        for reader in place.readers.get(value, ()):
            name = reader.equation.primitive.name
            others = [each for each in reader.inputs if not isinstance(each, Literal) and each in beside]
            if any(not looked_up or (name in _INTERPOLATING and place.is_noisy(each)) for each in others):
                return True
            if _passes(reader.equation) or name in _LOOKING_UP:
                is_found = looked_up or not _passes(reader.equation)
                found += [(each, is_found) for each in reader.outputs if each not in seen]
                seen.update(reader.outputs)
    return False


def _passes(equation: Any) -> bool:
    """Returns whether what an equation makes is the step that it reads, or is no float."""
    called = primitives.ALWAYS_INLINED.get(equation.primitive.name)
    if called is not None:
        return all(_passes(inner) for inner in equation.params[called].eqns)
    return equation.primitive.name in _PASSING or not any(map(_is_inexact, equation.outvars))


def _come_from(values: Iterable[Any], place: Place) -> list[Any]:
    """Returns some values and all noisy ones that they are made of."""
    found = list(values)
    seen = set(found)
    for value in found:
        made_of = [each for each in place.made_of(value) if not isinstance(each, Literal)]
        new = [each for each in made_of if place.is_noisy(each) and each not in seen]
        found += new
        seen.update(new)
    return found


def _made_of(values: Iterable[Any], place: Place, without: Any) -> set[Any]:
    """Returns some values and what floats are made of them otherwise than by way of one."""
    found = list(values)
    made = set(found)
    while found:
        for reader in place.readers.get(found.pop(), ()):
            pairs = zip(reader.outputs, reader.equation.outvars, strict=True)
            floats = [output for output, variable in pairs if _is_inexact(variable)]
            new = [each for each in floats if each not in made and without not in reader.outputs]
            found += new
            made.update(new)
    return made


def _is_loop_that_draws(equation: Any, operands: Sequence[Marks]) -> bool:
    """Returns whether an equation draws from something learned in a loop, as `choice`, `poisson` and `binomial` do.

    One that has a derivative makes floats, and is no `while`. One of whole numbers in which they do not meet, but have
    met before, is a step of what is noisy.
    """
    if equation.primitive.name not in primitives.LOOPS:
        return False
    has_key = any(jnp.issubdtype(atom.aval.dtype, jax.dtypes.prng_key) for atom in equation.invars)
    if equation.primitive.name == "scan":
        meet_inside = has_key or any(marks and NOISY not in marks for marks in operands)
        if not (_is_of_whole_numbers(equation) and meet_inside):
            return False
    return (has_key or any(RANDOM in marks for marks in operands)) and any(LEARNED in marks for marks in operands)


def _is_of_whole_numbers(equation: Any) -> bool:
    return not any(map(_is_inexact, equation.outvars))


def _is_inexact(variable: Any) -> bool:
    return jnp.issubdtype(variable.aval.dtype, jnp.inexact)


def _draws(inner: Inner) -> list[str]:
    def made_of(value: Any) -> Sequence[Any]:
        return inner.producers[value].invars if value in inner.producers else ()

    def is_noisy(value: Any) -> bool:
        return NOISY in inner.known.get(value, NONE)

    place = Place(inner.equation.invars, inner.equation.outvars, inner.readers, inner.returned, made_of, is_noisy)
    return [inner.line] if is_a_draw(inner.equation, inner.marks, place) else []
