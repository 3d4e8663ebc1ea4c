"""Programs that jump between the values of units, where estimators that go there find no derivative."""

import jax.numpy as jnp

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
    line = next((line for part in parts if (line := _where_it_jumps(part))), None)
    if line is None:
        return
    name = type(estimator).__name__
    if isinstance(estimator, PathwiseEstimator):
        told = f"what is compared or chosen at {line} has no derivative: the gradient of what comes through it is 0"
    else:
        told = f"what is compared or chosen at {line} jumps there: it is biased"
    cure = "DoubleControlVariates, DisARM and HNCA do not"
    warn(f"hnca: {name} evaluates the program between the values of units, and {told}. {cure}.")


def _where_it_jumps(part: Part) -> str | None:
    """Returns the line of an equation that jumps between values of units; what one unit decides is looked up."""
    for equation in part.equations:
        kinds = [kind for output in equation.outputs for kind in part.kinds.get(output, {}).values()]
        if NONLINEAR in kinds and (jumps(equation) or _reads_whole_numbers(part, equation)):
            return equation.line
    return None


def _reads_whole_numbers(part: Part, equation: Equation) -> bool:
    """Returns whether truths or whole numbers made of draws do more than be added or multiplied: they stay whole."""
    for place, value in enumerate(equation.inputs):
        if part.kinds.get(value) and not jnp.issubdtype(part.program.avals[value].dtype, jnp.inexact):
            alone = [place == other for other in range(len(equation.inputs))]
            if not is_linear(part.program, equation, alone):
                return True
    return False
