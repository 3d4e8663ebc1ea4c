"""Entropies of a draw's logits that are taken for those of the other kind."""

from collections.abc import Iterator
from math import prod

from hnca.programs.equations import Equation, Program
from hnca.programs.forms import forms_of

_PARTS = frozenset(
    [
        "reshape",
        "squeeze",
        "expand_dims",
        "transpose",
        "slice",
        "dynamic_slice",
        "gather",
        "convert_element_type",
        "copy",
    ]
)
"""What takes some of an array's elements, or all of them in another shape."""


def check_entropies(program: Program) -> None:
    """Raises a ValueError where `hnca.entropy` takes the logits of a draw for those of the other kind.

    Also parts of them, logits that are computed once more in the same way, and those that `log_softmax` has normalised.

    Args:
        program: with the entropies that its tracing has noted.
    """
    if not program.entropies or not program.draws:
        return
    forms = forms_of(program)
    by_form: dict[int, list] = {}
    for draw in program.draws.values():
        by_form.setdefault(forms[draw.logits], []).append(draw)
    for logits, categorical, line in program.entropies:
        draws = next((by_form[forms[v]] for v in _made_of(program, logits) if forms.get(v) in by_form), [])
        if draws and all((draw.values is None) != categorical for draw in draws):
            wrong = draws[0]
            told = "categorical" if categorical else "Bernoulli"
            raise ValueError(
                f"hnca.entropy: gives at {line} that of {told} units, and the logits are those of draw {wrong.name!r}, "
                f"which is {'Bernoulli' if categorical else 'categorical'}; expected categorical={not categorical}."
            )


def _made_of(program: Program, value: int) -> Iterator[int]:
    """Yields a value and those that it is a part of, or normalised."""
    while True:
        yield value
        equation = program.producers.get(value)
        if equation is None:
            return
        if equation.name not in _PARTS and not _is_shift(program, equation):
            return
        value = equation.inputs[0]


def _is_shift(program: Program, equation: Equation) -> bool:
    """Returns whether one number is subtracted from all categories, as log_softmax does twice."""
    sizes = [prod(program.avals[value].shape) for value in equation.inputs]
    return equation.name == "sub" and sizes[1] < sizes[0]
