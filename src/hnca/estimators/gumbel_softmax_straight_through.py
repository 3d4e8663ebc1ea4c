"""Straight-through Gumbel-softmax: discrete values forward, the relaxed ones' derivative back."""

from jaxtyping import Array, Float, Key

from hnca.estimators._pathwise import PathwiseEstimator
from hnca.estimators._relaxation import Relaxation
from hnca.estimators._requirements import Temperature, require_key, require_temperature, usable_temperature


class StraightThroughGumbelSoftmax(PathwiseEstimator):
    r"""The straight-through Gumbel-softmax estimator: samples as values, the derivative of their relaxation as theirs.

    **Formula.** With `z = softmax((a + g) / temperature)` and Gumbel noise `g` (for a Bernoulli unit
    `sigmoid((a + l) / temperature)` with logistic noise), the unit's derivative is that of `z`,
    `(diag(z) - z z^T) / temperature`, where the noise is drawn from its posterior given the sample: the sample is the
    one that `a + g` makes.

    **Bias.** Biased. For one Bernoulli unit at `a = 0`, `f = x` and temperature 1 it expects 1/6 where the gradient is
    1/4. **Cost.** One forward pass, one evaluation of the objective and one backpropagation through it. Needs an
    objective that can be differentiated by the values of the units.

    Example:
        ```python
        estimator = hnca.StraightThroughGumbelSoftmax(temperature=0.5)
        bound, estimate = hnca.estimate(estimator, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Jang, Gu and Poole, *Categorical reparameterization with Gumbel-softmax*, 2017, Section 2.2.

    Attributes:
        temperature: above 0; the lower, the closer to discrete. A number, or an array `[]`, which can be annealed as
            `GumbelSoftmax`'s.
    """

    temperature: Temperature = 0.5

    def __check_init__(self):
        require_temperature(self, self.temperature)

    def derivative(
        self,
        relaxation: Relaxation,
        key: Key[Array, ""] | None,
        logits: Float[Array, "*logits"],
        point: Float[Array, "*logits"],
        change: Float[Array, "*logits"],
    ) -> Float[Array, "*logits"]:
        key = require_key(self, key, "the noise of the samples is")
        scores = relaxation.scores_given(relaxation.noise(key, logits), logits, point)
        temperature = usable_temperature(self.temperature, scores.dtype)
        return relaxation.along(relaxation.soft(scores / temperature), change) / temperature
