"""ARM: antithetic pairs, weighted by the noise that made them."""

from jaxtyping import Array, Float, Key

from hnca.estimators._antithetic import antithetic_state, uniform_given_state
from hnca.estimators._paired import PairedEstimator, Second
from hnca.estimators._requirements import require_bernoulli
from hnca.estimators._stick_breaking import antithetic_pair, category_of, sticks_of, uniform_credit
from hnca.units import Categorical, Layer


class ARM(PairedEstimator):
    r"""The augment-REINFORCE-merge estimator for Bernoulli and categorical layers, layer by layer.

    **Formula.** With `x = 1[u < p]` the layer's sample and `x' = 1[1 - u < p]` its antithetic one, each unit's credit
    is `(1/2 - u) (f - f')`. Of a categorical unit it is the credit of each of its sticks (see `DisARM`) up to the later
    sample's, brought to the logits by the derivatives of the sticks' own.

    **Bias.** None. **Cost.** As `DisARM`, which is this with `u` integrated out and so never more variable.

    Example:
        ```python
        bound, estimate = hnca.estimate(hnca.ARM(), encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Yin and Zhou, *ARM: Augment-REINFORCE-merge gradient for stochastic binary networks*, 2019.
    """

    def second(self, layer: Layer, key: Key[Array, ""], logits: Float[Array, "*logits"], values: Array) -> Second:
        if isinstance(layer, Categorical):
            sticks = sticks_of(logits)
            pair = antithetic_pair(sticks, key, values)
            return Second(category_of(sticks, pair.second), uniform_credit(sticks, pair))
        bernoulli = require_bernoulli(self, layer, "Bernoulli and Categorical")
        uniform = uniform_given_state(key, logits, bernoulli.state(values))
        return Second(bernoulli.from_state(antithetic_state(uniform, logits)), 0.5 - uniform)
