"""Programs that jump between the values of units, where estimators that go there find no derivative."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from hnca._warning import warn
from hnca.estimators import REBAR, RELAX, Estimator
from hnca.estimators._pathwise import PathwiseEstimator
from hnca.programs.equations import Equation
from hnca.programs.kinds import NONLINEAR, is_linear
from hnca.programs.parts import Part, jumps
from hnca.programs.plan import Plan


def warn_of_jumps(estimator: Estimator, plan: Plan) -> None:
    """Warns of a program that jumps, for an estimator that evaluates it between the values of units.

    Args:
        estimator: of its gradient; of others than relaxed ones nothing is said.
        plan: of the program.
    """
    if not isinstance(estimator, REBAR | RELAX | PathwiseEstimator):
        return
    parts = [low.part for low in plan.layers.values()] + [part for _, part in plan.others]
    relaxed = isinstance(estimator, REBAR | RELAX)
    where = (line for part in parts if (line := _where(part, _may_jump if relaxed else _has_no_slope)))
    line = next(where, None)
    if line is None:
        return
    told = (
        f"what is compared or chosen at {line} may jump there: it is biased then"
        if relaxed
        else f"what is compared or chosen at {line} has no derivative: the gradient of what comes through it is 0"
    )
    warn(
        f"hnca: {type(estimator).__name__} evaluates the program between the values of units, and {told}. "
        "DoubleControlVariates, DisARM and HNCA do not."
    )


def _where(part: Part, holds: Callable[[Part, Equation], bool]) -> str | None:
    """Returns the line of an equation of several units of which something holds; what one unit decides is looked up."""
    for equation in part.equations:
        kinds = [part.kinds.get(output, {}) for output in equation.outputs]
        of_several = any(NONLINEAR in by_draw.values() or len(by_draw) > 1 for by_draw in kinds)
        if of_several and holds(part, equation):
            return equation.line
    return None


def _may_jump(part: Part, equation: Equation) -> bool:
    return jumps(equation) or _reads_whole_numbers(part, equation)


def _has_no_slope(part: Part, equation: Equation) -> bool:
    """Returns whether a number is made of truths or whole numbers alone, which have no derivative.

    What is selected by a truth, as in a leaky ReLU, may have one of its own.
    """
    program = part.program
    if program.avals[equation.outputs[0]].dtype == np.bool_:
        # What is made of it will tell; where it is multiplied, as a number, the part ends with it.
        return equation.outputs[0] in part.outputs
    if equation.name == "select_n":
        return not any(map(part.kinds.get, equation.inputs[1:]))
    if equation.name == "convert_element_type" and program.avals[equation.inputs[0]].dtype == np.bool_:
        return True
    return _may_jump(part, equation)


def _reads_whole_numbers(part: Part, equation: Equation) -> bool:
    """Returns whether truths or whole numbers made of draws do more than be added or multiplied: they stay whole."""
    for place, value in enumerate(equation.inputs):
        if part.kinds.get(value) and not jnp.issubdtype(part.program.avals[value].dtype, jnp.inexact):
            alone = [place == other for other in range(len(equation.inputs))]
            if not is_linear(part.program, equation, alone):
                return True
    return False
