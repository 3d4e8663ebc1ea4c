"""Draws whose logits are probabilities: the other convention, which is drawn from and learned without an error."""

from hnca._warning import warn
from hnca.programs.equations import Draw, Program
from hnca.programs.loop import loops_of

_SAME = frozenset(
    ["reshape", "squeeze", "expand_dims", "broadcast_in_dim", "transpose", "convert_element_type", "slice", "copy"]
)
_BOUNDED = frozenset(["min", "max", "clamp"])
"""By numbers of the program's text: a probability that is kept away from 0 and 1."""


def warn_of_probabilities(program: Program) -> None:
    """Warns of draws of which what a sigmoid or a softmax returns is taken for the logits; in loops too."""
    found = {
        draw.line: (draw, made_by) for draw in program.draws.values() if (made_by := _probability(program, draw.logits))
    }
    for draw, made_by in found.values():  # of the steps of a loop that is written out, once
        warn(_message(draw, made_by))
    for loop in loops_of(program):
        warn_of_probabilities(loop.body)


def _message(draw: Draw, made_by: str) -> str:
    inverse = "jnp.log(p)" if draw.values is None else "jax.scipy.special.logit(p)"
    return (
        f"hnca: the logits of draw {draw.name!r} at {draw.line} are what a {made_by} returns, probabilities. A draw "
        f"takes logits, and makes the {made_by} itself; give what is inside of it, or {inverse} of a probability p."
    )


def _probability(program: Program, value: int) -> str:
    """Returns "sigmoid" or "softmax" where a value is the result of one, at most bounded; nothing for others."""
    equation = program.producers.get(value)
    if equation is None:
        return ""
    if equation.name == "logistic":
        return "sigmoid"
    if equation.name == "div" and _is_share(program, *equation.inputs):
        return "softmax"
    if equation.name in _SAME:
        return _probability(program, equation.inputs[0])
    if equation.name in _BOUNDED:
        made = [v for v in equation.inputs if v not in program.known]
        return _probability(program, made[0]) if len(made) == 1 else ""
    return ""


def _is_share(program: Program, part: int, whole: int) -> bool:
    """Returns whether a quotient is of exponentials and their sum."""
    one, total = program.producers.get(part), program.producers.get(whole)
    while total is not None and total.name in _SAME:
        total = program.producers.get(total.inputs[0])
    if one is None or total is None or total.name != "reduce_sum":
        return False
    each = program.producers.get(total.inputs[0])
    return each is not None and one.name == each.name == "exp" and one.inputs == each.inputs
