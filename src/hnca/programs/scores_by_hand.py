"""Warns of a score that is written by hand beside a draw that is credited: a policy gradient, a ratio, a likelihood."""

from collections.abc import Iterable, Iterator

from hnca._warning import warn
from hnca.programs.dependence import depends_on, wanted_for
from hnca.programs.equations import Draw, Equation, Program
from hnca.programs.forms import forms_of
from hnca.programs.inside import observes
from hnca.programs.loop import Loop, loops_of

_WITHOUT_DERIVATIVE = frozenset(["stop_gradient", "lt", "le", "gt", "ge", "eq", "ne", "argmax", "argmin"])
_SUMS = frozenset(["add", "add_any", "sub", "concatenate", "hnca_log_weight"])


def warn_of_scores_by_hand(program: Program) -> None:
    """Warns of draws that reach the result by way of their own logits alone, where rewards or actions are stored.

    `log_prob(logits, action) * advantage` is what is differentiated elsewhere; here it is a value like any other, and
    its expectation has another gradient, as the action is credited for it. So it is with the ratio of two
    probabilities, and with the likelihood of labels that are given to a draw.

    Args:
        program: the program.
    """
    for draw, line in _by_hand(program, program.outputs[:1], _observes_draws(program)):
        warn(
            f"hnca: draw {draw.name!r} at {draw.line} reaches the result by way of its own logits alone, at {line}. Is "
            "it a policy gradient, log pi * return, or a ratio of probabilities? The draw is credited, which makes the "
            "score: return hnca.observed(reward + 0.0 * action). Is it a likelihood to be fitted? Score the array that "
            "was taken, and not what the draw returns."
        )


def _by_hand(program: Program, results: Iterable[int], observed: bool) -> Iterator[tuple[Draw, str]]:
    """Yields draws and the line where they meet their own logits, if they reach the results in no other way."""
    results = set(results)
    draws = [draw for draw in program.draws.values() if observed or draw.given is not None]
    if draws:
        wanted, forms = wanted_for(program, results, observed=True), forms_of(program)
        alike: dict[int, set[int]] = {}
        for value, form in forms.items():
            alike.setdefault(form, set()).add(value)
        for draw in draws:
            line = _where_it_meets(program, draw, alike[forms[draw.logits]], wanted, results)
            if line is not None:
                yield draw, line
    for loop in loops_of(program):
        yield from _by_hand(loop.body, loop.body.outputs, observed)


def _where_it_meets(program: Program, draw: Draw, logits: set[int], wanted: set[int], results: set[int]) -> str | None:
    """Returns the line where what a draw returns meets its logits, and None if it reaches the results past them."""
    of_logits = depends_on(program, logits, through_draws=False, not_through=_WITHOUT_DERIVATIVE)
    reached, met, line = {draw.output}, set[int](), None
    for step in program.steps:
        if isinstance(step, Draw):
            if (step.logits in reached or step.logits in met) and step.output in wanted:
                return None
            continue
        if wanted.isdisjoint(step.outputs) or (reached.isdisjoint(step.inputs) and met.isdisjoint(step.inputs)):
            continue
        if step.name in _SUMS or not of_logits.intersection(step.inputs) - reached:
            (met if reached.isdisjoint(step.inputs) else reached).update(step.outputs)
        else:
            met.update(step.outputs)
            line = line or step.line
    return line if reached.isdisjoint(results) else None


def _observes_draws(program: Program) -> bool:
    """Returns whether something is observed that reads a draw, or in a step of a loop."""
    reads = depends_on(program, set(program.draws), through_draws=False)
    return any(
        _observes(equation) and (isinstance(equation, Loop) or not reads.isdisjoint(equation.inputs))
        for equation in program.equations
    )


def _observes(equation: Equation) -> bool:
    return any(map(_observes, equation.body.equations)) if isinstance(equation, Loop) else observes(equation.original)
