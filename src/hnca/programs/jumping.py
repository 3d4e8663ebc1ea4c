"""Programs that jump between the values of units, where estimators that go there find no derivative."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from hnca._warning import warn
from hnca.estimators import REBAR, RELAX, Estimator
from hnca.estimators._pathwise import PathwiseEstimator
from hnca.programs import primitives
from hnca.programs.equations import Equation
from hnca.programs.kinds import NONLINEAR, is_linear
from hnca.programs.parts import Part
from hnca.programs.plan import Plan


def warn_of_jumps(estimator: Estimator, plan: Plan) -> None:
    """Warns of a program that jumps, for an estimator that evaluates it between the values of units.

    Args:
        estimator: of its gradient; of others than relaxed ones nothing is said.
        plan: of the program.
    """
    if not isinstance(estimator, REBAR | RELAX | PathwiseEstimator):
        return
    layers, terms = [low.part for low in plan.layers.values()], [part for _, part in plan.others]
    relaxed = isinstance(estimator, REBAR | RELAX)
    places = [line for part in (*layers, *terms) if (line := _where(part, _may_jump if relaxed else _has_no_slope))]
    if relaxed:
        # While one draw of a term is between its values, categorical ones beside it are what they took.
        categorical = {output for output, draw in plan.program.draws.items() if draw.values is None}
        places += [line for part in layers if (line := _where_several_decide(part, set()))]
        places += [line for part in terms if (line := _where_several_decide(part, categorical))]
    line = next(iter(places), None)
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
        kinds = [kind for output in equation.outputs for kind in part.kinds.get(output, {}).values()]
        if NONLINEAR in kinds and holds(part, equation):
            return equation.line
    return None


def _where_several_decide(part: Part, taken: set[int]) -> str | None:
    """Returns the line of an equation that jumps with one unit of each of several draws together.

    It is looked up by the unit of one of them, for what the others are: `table[(a + b) % 3]`, `(a > 0.5) & (b > 0.5)`.

    Args:
        part: of the program.
        taken: draws that are never between their values beside another one.
    """
    for equation in part.equations:
        deciding: set[int] = set()
        for place, value in enumerate(equation.inputs):
            alone = [place == other for other in range(len(equation.inputs))]
            if not is_linear(part.program, equation, alone):
                deciding.update(part.kinds.get(value, {}))
        if len(deciding) > 1 and deciding - taken and _may_jump(part, equation):
            return equation.line
    return None


def _may_jump(part: Part, equation: Equation) -> bool:
    return equation.jumps(part.used) or _reads_whole_numbers(part, equation)


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
    if equation.name == primitives.ROUNDING:  # which has the slope of what is rounded
        return False
    return _may_jump(part, equation)


def _reads_whole_numbers(part: Part, equation: Equation) -> bool:
    """Returns whether truths or whole numbers made of draws do more than be added or multiplied: they stay whole."""
    for place, value in enumerate(equation.inputs):
        if part.kinds.get(value) and not jnp.issubdtype(part.program.avals[value].dtype, jnp.inexact):
            alone = [place == other for other in range(len(equation.inputs))]
            if not is_linear(part.program, equation, alone):
                return True
    return False
