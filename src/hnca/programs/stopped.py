"""Warns of `jax.lax.stop_gradient` where it does not do what it does under `jax.grad`: with draws."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from jax.extend.core import Literal

from hnca._warning import warn
from hnca.programs import primitives
from hnca.programs.calls import NONE, Inner, Marks, Search, found_inside
from hnca.programs.dependence import depends_on, drawn_in, drawn_inside, wanted_for
from hnca.programs.equations import Equation, Program
from hnca.programs.key_numbers import settings_of
from hnca.programs.kinds import is_linear
from hnca.programs.lines import is_of_this_library
from hnca.programs.loop import Loop, loops_of

T = TypeVar("T")
_EXTREMES = frozenset(["reduce_max", "reduce_min", "cummax", "cummin"])
"""What is stopped inside of a log-sum: whatever it is, the result is the same."""
_PASSING = frozenset(
    ["select_n", "is_finite", "broadcast_in_dim", "reshape", "squeeze", "expand_dims", "convert_element_type", "max"]
)
_SUMS = frozenset(["add", "add_any", "sub"])
_MOST_TERMS = 64


def warn_of_stopped(program: Program) -> None:
    """Warns of what comes of draws and is stopped, and of straight-through terms beside draws, with their lines.

    Draws are credited for what the function returns, and a stopped value is as much a part of it as any.

    Args:
        program: the program.
    """
    straight_through = list(_straight_through(program, set()))
    told = {line for _, stops in straight_through for line in stops}
    for line in dict.fromkeys(_stopped(program, program.outputs[:1], set())):
        if line in told:
            continue
        warn(
            f"hnca: jax.lax.stop_gradient at {line} is given what is drawn. It stops derivatives, but draws are "
            "credited for all that the function returns, also by way of it. If they are not to learn from that (a "
            "critic's loss, say), compute it outside of the function, of what has_aux=True hands back. A "
            "straight-through or score-function term of your own only adds to their credit: leave it out."
        )
    for line in dict.fromkeys(line for line, _ in straight_through):
        warn(
            f"hnca: the sum at {line} of what is drawn and of a value less its own jax.lax.stop_gradient has the "
            "derivative of that value beside the credit of the draw, as a straight-through estimator has in place of "
            "it, and so counts twice; leave that term out."
        )


def _stopped(program: Program, results: Iterable[int], given: set[int]) -> Iterator[str]:
    """Yields the lines where what comes of draws, or of some inputs, is stopped on its way to the results."""
    drawn, wanted = drawn_in(program, given), wanted_for(program, results, observed=False)
    stops_credit = {draw.logits for draw in program.draws.values()}  # of a draw's own parameters: so it is meant
    scored = depends_on(program, stops_credit, through_draws=False)

    for equation in program.equations:
        if wanted.isdisjoint(equation.outputs):
            continue
        if not isinstance(equation, Loop):
            marks = [_marks(value in drawn, value in scored) for value in equation.inputs]
            yield from found_inside(equation.original, marks, equation.line, Search(_stopped_inside))
        if equation.outputs[0] in stops_credit or not is_stopped_by_user(program, equation, drawn):
            continue
        (source,) = equation.inputs
        if source in drawn and not (
            _is_scored(program, source) and _is_a_term(program, equation.outputs[0], drawn, wanted)
        ):
            yield equation.line
    for loop in loops_of(program):
        yield from _stopped(loop.body, loop.body.outputs, drawn_inside(loop, drawn))


def is_stopped_by_user(program: Program, equation: Equation | Loop, parts: set[int]) -> bool:
    """Returns whether an equation stops a derivative, and neither in a gradient inside nor of a log-sum's shift.

    Args:
        program: whose equation it is.
        equation: of any kind.
        parts: the values whose part in what is stopped is asked for: those that draws have a part in, say.
    """
    if equation.name != "stop_gradient" or is_of_this_library(equation.original.source_info):
        return False

    def made_by(value: int) -> tuple[str, list[int]] | None:
        producer = program.producers.get(value)
        return None if producer is None else (producer.name, [each for each in producer.inputs if each in parts])

    return not _is_extreme(equation.inputs[0], made_by)


def _marks(drawn: bool, scored: bool) -> Marks:
    return frozenset(mark for mark, has in (("drawn", drawn), ("scored", scored)) if has)


def _stopped_inside(inner: Inner) -> list[str]:
    """Returns the line of an equation that stops what comes of draws, and not of their logits, nor is an extreme."""

    def made_by(atom: Any) -> tuple[str, list[Any]] | None:
        producer = inner.producers.get(atom)
        if producer is None:
            return None
        variables = [a for a in producer.invars if not isinstance(a, Literal)]
        return producer.primitive.name, [a for a in variables if "drawn" in inner.known.get(a, NONE)]

    if inner.equation.primitive.name != "stop_gradient" or inner.marks[0] != {"drawn"}:
        return []
    if is_of_this_library(inner.equation.source_info):
        return []
    return [] if _is_extreme(inner.equation.invars[0], made_by) else [inner.line]


def _straight_through(program: Program, given: set[int]) -> Iterator[tuple[str, list[str]]]:
    """Yields the lines of sums of what comes of draws, a value, and less that value stopped; and of those stops."""
    drawn = drawn_in(program, given)
    is_stopped = any(equation.name == "stop_gradient" for equation in program.equations)
    numbers = equal_numbers(program) if is_stopped else {}
    for equation in program.equations if is_stopped else ():
        if equation.name not in _SUMS or drawn.isdisjoint(equation.outputs):
            continue
        terms = terms_of(program, equation.outputs[0])
        stopped = [(program.producers.get(value), sign) for value, sign in terms]
        inside = [
            (numbers[value], -sign * own)
            for producer, sign in stopped
            if producer is not None and producer.name == "stop_gradient"
            for value, own in terms_of(program, producer.inputs[0])
            if value not in drawn
        ]
        if not {(numbers[value], sign) for value, sign in terms}.isdisjoint(inside):
            stops = [producer for producer, _ in stopped if producer is not None and producer.name == "stop_gradient"]
            yield equation.line, [producer.line for producer in stops]
    for loop in loops_of(program):
        yield from _straight_through(loop.body, drawn_inside(loop, drawn))


def _is_extreme(value: T, made_by: Callable[[T], tuple[str, list[T]] | None]) -> bool:
    """Returns whether what a value has of draws is a maximum or a minimum, as the shift of a log-sum is.

    Args:
        value: of a program, or of a jaxpr in it.
        made_by: tells the name of the primitive that makes a value, and what that reads of draws; None for an input.
    """
    wanted, found = [value], False
    while wanted:
        made = made_by(wanted.pop())
        if made is None or made[0] not in _EXTREMES | _PASSING | primitives.ALWAYS_INLINED.keys():
            return False
        found |= made[0] in _EXTREMES
        wanted += [] if made[0] in _EXTREMES else made[1]
    return found


def _is_scored(program: Program, value: int) -> bool:
    """Returns whether a value reads the logits of all draws that it reads, as their log-probability does.

    As a term of the result its derivative is 0 on average, and may be left out. The logits may be computed once more.
    """
    behind, wanted = set[int](), [value]
    while wanted:
        each = wanted.pop()
        producer = program.producers.get(each)
        if each not in behind and producer is not None:
            wanted += producer.inputs
        behind.add(each)
    numbers = equal_numbers(program)
    read = [draw for output, draw in program.draws.items() if output in behind]
    return bool(read) and {numbers[draw.logits] for draw in read} <= {numbers[each] for each in behind}


def _is_a_term(program: Program, value: int, drawn: set[int], wanted: set[int]) -> bool:
    """Returns whether a value goes into the results by sums alone, and by factors that read no draw.

    Args:
        program: whose value it is.
        value: what is stopped.
        drawn: the values that draws have a part in.
        wanted: those that the results are made of.
    """
    moving = {value}
    for equation in program.equations:
        if moving.isdisjoint(equation.inputs) or wanted.isdisjoint(equation.outputs):
            continue
        if isinstance(equation, Loop):
            return False
        marked = [each in moving for each in equation.inputs]
        others = [each for each, mark in zip(equation.inputs, marked, strict=True) if not mark]
        adds = equation.name in primitives.ADDITIVE
        if not is_linear(program, equation, marked) or (not adds and not drawn.isdisjoint(others)):
            return False
        moving.update(equation.outputs)
    return moving.isdisjoint(draw.logits for draw in program.draws.values())


def equal_numbers(program: Program) -> dict[int, Hashable]:
    """Returns what is equal for values that are computed alike of the same ones."""
    numbers: dict[int, Hashable] = {value: value for value in range(len(program.avals))}
    numbers |= {value: (str(known.dtype), known.tobytes()) for value, known in program.known.items()}
    for equation in program.equations:
        if isinstance(equation, Loop):
            continue
        way = equation.name, settings_of(equation), tuple(numbers[value] for value in equation.inputs)
        numbers |= {output: hash((way, place)) for place, output in enumerate(equation.outputs)}
    return numbers


def terms_of(program: Program, value: int) -> list[tuple[int, int]]:
    """Returns the terms of a sum with their signs, sums in it taken apart; of what is none, itself."""
    found: list[tuple[int, int]] = []
    wanted = [(value, 1)]
    while wanted and len(found) < _MOST_TERMS:
        whole, sign = wanted.pop()
        sums = program.producers.get(whole)
        if sums is None or sums.name not in _SUMS:
            found.append((whole, sign))
            continue
        wanted += [
            (part, -sign if sums.name == "sub" and place == 1 else sign) for place, part in enumerate(sums.inputs)
        ]
    return found
