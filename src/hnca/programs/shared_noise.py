"""Warns of noise that the passes of a bound would have to draw each for itself, and share."""

from hnca._warning import warn
from hnca.estimators import Estimator
from hnca.estimators._bound import BoundEstimator
from hnca.programs import primitives
from hnca.programs.dependence import wanted_for
from hnca.programs.equations import Equation, Program
from hnca.programs.inside import makes_noise
from hnca.programs.loop import Loop


def warn_of_shared_noise(estimator: Estimator, program: Program) -> None:
    """Warns where the log weight of a bound of several passes is made of noise of `jax.random`.

    The mean of other estimators is that over the noise as well, whoever shares it; the log of a mean is not.

    Args:
        estimator: that is asked for the gradient.
        program: that it is asked of.
    """
    if not isinstance(estimator, BoundEstimator):
        return
    wanted = wanted_for(program, program.outputs[:1], observed=True)
    lines = [e.line for e in program.equations if _is_noise(e) and not wanted.isdisjoint(e.outputs)]
    if lines:
        warn(
            f"hnca: {type(estimator).__name__}: the noise of jax.random at {', '.join(dict.fromkeys(lines))} is drawn "
            "once for each example, and all passes share it: the bound is the mean of bounds given the noise. That is "
            "meant of dropout; of a latent variable it is another bound than that of independent passes, and lower."
        )


def _is_noise(equation: Equation) -> bool:
    if isinstance(equation, Loop):
        return any(map(_is_noise, equation.body.equations))
    return equation.name in primitives.RANDOM | primitives.NOISE or makes_noise(equation.original)
