"""ReinMax: the straight-through estimator made exact to second order."""

from jaxtyping import Array, Float, Key

from hnca.estimators._pathwise import PathwiseEstimator
from hnca.estimators._relaxation import Relaxation


class ReinMax(PathwiseEstimator):
    r"""The second-order straight-through estimator (Heun's method in place of Euler's).

    **Formula.** With `p` the probabilities of a unit, `x` its one-hot sample and `J(p) = diag(p) - p p^T` the
    derivative of a softmax, the unit's derivative is taken to be `2 J((p + x) / 2) - J(p) / 2`; of a Bernoulli unit,
    where `J(p) = p (1 - p)`, its mean over the two samples is the trapezoidal rule `p (1 - p) (f'(0) + f'(1)) / 2`.

    **Bias.** Biased, unless `f`, with all that comes after the layer in it, is at most quadratic in each unit. For one
    unit and `f = x^3` it is `p (1 - p) / 2`. **Cost.** As `StraightThrough`: one forward pass, one evaluation of the
    objective and one backpropagation through it. Needs an objective that can be differentiated by the values of the
    units.

    Example:
        ```python
        bound, estimate = hnca.estimate(hnca.ReinMax(), encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Liu, Dong, Liu, Yu and Gao, *Bridging discrete and backpropagation: straight-through and beyond*,
    2023, Algorithm 2 with temperature 1.
    """

    def derivative(
        self,
        relaxation: Relaxation,
        key: Key[Array, ""] | None,
        logits: Float[Array, "*logits"],
        point: Float[Array, "*logits"],
        change: Float[Array, "*logits"],
    ) -> Float[Array, "*logits"]:
        mean = relaxation.soft(logits)
        return 2 * relaxation.along((mean + point) / 2, change) - relaxation.along(mean, change) / 2
