"""ARM: antithetic pairs, weighted by the noise that made them."""

from jaxtyping import Array, Float, Key

from hnca.estimators._antithetic import antithetic_state, uniform_given_state
from hnca.estimators._paired import PairedEstimator, Second
from hnca.estimators._requirements import require_bernoulli
from hnca.units import Layer


class ARM(PairedEstimator):
    r"""The augment-REINFORCE-merge estimator for Bernoulli layers, layer by layer.

    **Formula.** With `x = 1[u < p]` the layer's sample and `x' = 1[1 - u < p]` its antithetic one, each unit's credit
    is `(1/2 - u) (f - f')`.

    **Bias.** None. **Cost.** As `DisARM`, which is this with `u` integrated out and so never more variable.

    Example:
        ```python
        bound, estimate = hnca.estimate(hnca.ARM(), encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Yin and Zhou, *ARM: Augment-REINFORCE-merge gradient for stochastic binary networks*, 2019.
    """

    def second(self, layer: Layer, key: Key[Array, ""], logits: Float[Array, "*logits"], values: Array) -> Second:
        bernoulli = require_bernoulli(self, layer)
        uniform = uniform_given_state(key, logits, bernoulli.state(values))
        return Second(bernoulli.from_state(antithetic_state(uniform, logits)), 0.5 - uniform)
