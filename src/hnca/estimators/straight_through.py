"""Straight-through: backpropagation through samples as if they were their means."""

from jaxtyping import Array, Float, Key

from hnca.estimators._pathwise import PathwiseEstimator
from hnca.estimators._relaxation import Relaxation


class StraightThrough(PathwiseEstimator):
    r"""The straight-through estimator: samples as values, the derivative of the mean as theirs.

    **Formula.** The credit of a Bernoulli unit with `p = sigmoid(a)` is `p (1 - p) df/dx`, `x` being its state (0 or 1)
    and `df/dx` the backpropagated derivative at the samples; of a categorical unit `p_k (df/dx_k - sum_j p_j df/dx_j)`
    with `x` one-hot.

    **Bias.** Biased, unless `f`, with all that comes after the layer in it, is linear in each unit. For one unit and `f
    = (x - t)^2` it is `p (1 - p) (2 p - 1)`; in a program, where what reads one unit is a table of its values, it is 0.
    **Cost.** One forward pass, one evaluation of the objective and one
    backpropagation through it. Needs an objective that can be differentiated by the values of the units.

    Example:
        ```python
        bound, estimate = hnca.estimate(hnca.StraightThrough(), encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Bengio, Léonard and Courville, *Estimating or propagating gradients through stochastic neurons for
    conditional computation*, 2013; of what they try, the form that keeps the derivative of the sigmoid (the other has 1
    for it).
    """

    def derivative(
        self,
        relaxation: Relaxation,
        key: Key[Array, ""] | None,
        logits: Float[Array, "*logits"],
        point: Float[Array, "*logits"],
        change: Float[Array, "*logits"],
    ) -> Float[Array, "*logits"]:
        return relaxation.along(relaxation.soft(logits), change)
