"""Which values of a program are written in the same way, and so are the same: a policy that is evaluated twice."""

from collections.abc import Hashable

import numpy as np

from hnca.programs import primitives
from hnca.programs.equations import Draw, Equation, Program

_MOST = 64
"""Of so many numbers at most are constants compared by what they are; of more by which they are."""


def forms_of(program: Program) -> dict[int, int]:
    """Returns a number for every value, the same for two that are computed alike from the same values."""
    forms: dict[int, int] = {}
    numbers: dict[Hashable, int] = {}

    def numbered(key: Hashable) -> int:
        return numbers.setdefault(key, len(numbers))

    def form(value: int) -> int:
        if value not in forms:
            known = program.known.get(value)
            few = known is not None and np.size(known) <= _MOST
            array = np.asarray(known) if few else None
            forms[value] = numbered(
                ("value", value) if array is None else ("number", array.dtype.name, array.shape, array.tobytes())
            )
        return forms[value]

    for step in program.steps:
        if isinstance(step, Draw):
            form(step.logits)
            forms[step.output] = numbered(("draw", step.output))
            continue
        key = (step.name, _settings(step), tuple(form(value) for value in step.inputs))
        forms.update({output: numbered((*key, place)) for place, output in enumerate(step.outputs)})
    return forms


def _settings(equation: Equation) -> str:
    """Returns an equation's parameters as text; of a function with a derivative of its own, what it computes."""
    if equation.name in primitives.CALLS:
        return str(equation.inner())
    return str(sorted(equation.params.items(), key=lambda item: item[0]))
