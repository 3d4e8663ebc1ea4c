"""Draws that nothing is learned of, because the result reads them only times 0: a reward that is not marked."""

import numpy as np
from jax.extend.core import Literal

from hnca._warning import warn
from hnca.programs.equations import Draw, Equation, Program
from hnca.programs.inside import observes


def warn_of_times_zero(program: Program) -> None:
    """Warns of draws that a program's result reads in its text, but only multiplied by the number 0.

    That is how a reward is said to depend on an action, `reward + 0.0 * action`, for `hnca.observed`; without that mark
    it is a product with 0 like any other, and has no gradient.
    """
    lost = _read(program, with_zeros=True) - _read(program, with_zeros=False)
    draws = [f"{draw.name!r} at {draw.line}" for output, draw in program.draws.items() if output in lost]
    if draws:
        warn(
            f"hnca: what the function returns reads draw {', '.join(draws)} only times 0, so that nothing is learned "
            "of it. If that is how a reward is said to depend on it, mark the reward: "
            "hnca.observed(reward + 0.0 * action)."
        )


def _read(program: Program, *, with_zeros: bool) -> set[int]:
    """Returns the values that a program's first result reads; what is observed reads also what is times 0 in it."""
    read, observed = {program.outputs[0]}, set[int]()
    for step in reversed(program.steps):
        outputs = (step.output,) if isinstance(step, Draw) else step.outputs
        inputs = (step.logits,) if isinstance(step, Draw) else step.inputs
        if not observed.isdisjoint(outputs):
            observed.update(inputs)
        elif not read.isdisjoint(outputs):
            if not isinstance(step, Draw) and observes(step.original):
                observed.update(inputs)
            elif with_zeros or isinstance(step, Draw) or not _is_times_zero(step):
                read.update(inputs)
    return read | observed


def _is_times_zero(equation: Equation) -> bool:
    """Returns whether an equation is a product with a 0 that is written there, and no index or sum that begins at 0."""
    factors = (atom.val for atom in equation.original.invars if isinstance(atom, Literal))
    return equation.name == "mul" and any(np.size(factor) > 0 and not np.any(factor) for factor in factors)
