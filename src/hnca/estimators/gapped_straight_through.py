"""Gapped straight-through: straight-through with logits that lead to the samples by a margin."""

import math

import equinox as eqx
from jaxtyping import Array, Float, Key

from hnca._options import is_number
from hnca.estimators._pathwise import PathwiseEstimator
from hnca.estimators._relaxation import Relaxation
from hnca.estimators._requirements import Temperature, require_temperature, usable_temperature


class GappedStraightThrough(PathwiseEstimator):
    r"""The gapped straight-through estimator: a margin in place of the noise of `StraightThroughGumbelSoftmax`.

    **Formula.** The logits are moved, in the derivative alone, so that the value taken is the largest by `gap` at
    least: its own becomes the largest of the unit's, `a*`, and any other `a_j` becomes `min(a_j, a* - gap)`. With `z`
    their softmax at the temperature the unit's derivative is `(diag(z) - z z^T) / temperature`. A Bernoulli unit is one
    of two values with the logits 0 and `a`.

    **Bias.** Biased. For one Bernoulli unit at `a = 0`, `f = x`, gap 1 and temperature 1 it expects 0.197 where the
    gradient is 0.25. **Cost.** As `StraightThrough`: one forward pass, one evaluation of the objective and one
    backpropagation through it; it draws nothing. Needs an objective that can be differentiated by the values of the
    units.

    Example:
        ```python
        estimator = hnca.GappedStraightThrough(temperature=0.5)
        bound, estimate = hnca.estimate(estimator, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Fan, Chi, Rudnicky and Ramadge, *Training discrete deep generative models via gapped straight-through
    estimator*, 2022.

    Attributes:
        temperature: above 0; the lower, the closer to discrete. A number, or an array `[]`, which can be annealed as
            `GumbelSoftmax`'s.
        gap: of the logits, at least 0.
    """

    temperature: Temperature = 0.5
    gap: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        require_temperature(self, self.temperature)
        if not is_number(self.gap) or not 0 <= self.gap < math.inf:
            raise ValueError(f"GappedStraightThrough: gap={self.gap!r}; expected a finite number of at least 0.")

    def derivative(
        self,
        relaxation: Relaxation,
        key: Key[Array, ""] | None,
        logits: Float[Array, "*logits"],
        point: Float[Array, "*logits"],
        change: Float[Array, "*logits"],
    ) -> Float[Array, "*logits"]:
        temperature = usable_temperature(self.temperature, logits.dtype)
        scores = relaxation.scores_apart(logits, point, self.gap)
        return relaxation.along(relaxation.soft(scores / temperature), change) / temperature
