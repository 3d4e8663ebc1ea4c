"""DisARM: antithetic pairs, with the noise that made them integrated out."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca.estimators._antithetic import antithetic_state, uniform_given_state
from hnca.estimators._paired import PairedEstimator, Second
from hnca.estimators._requirements import require_bernoulli
from hnca.units import Layer


class DisARM(PairedEstimator):
    r"""The antithetic two-sample estimator for Bernoulli layers, layer by layer.

    **Formula.** With `x = 1[u < p]` the layer's sample and `x' = 1[1 - u < p]` its antithetic one, each unit's credit
    is `1/2 (x - x') sigmoid(|a|) (f - f')`: nothing where the pair agrees.

    **Bias.** None. **Cost.** As `LeaveOneOut`: one forward pass, and for every layer one more of what comes after it
    and one evaluation of the objective. Needs an objective that can be evaluated twice.

    Example:
        ```python
        bound, estimate = hnca.estimate(hnca.DisARM(), encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Dong, Mnih and Tucker, *DisARM: An antithetic gradient estimator for binary latent variables*, 2020;
    under the name of U2G also Yin, Ho, Yan, Qian and Zhou, *Probabilistic best subset selection via gradient-based
    optimization*, 2020.
    """

    def second(self, layer: Layer, key: Key[Array, ""], logits: Float[Array, "*logits"], values: Array) -> Second:
        bernoulli = require_bernoulli(self, layer)
        state = bernoulli.state(values)
        other = antithetic_state(uniform_given_state(key, logits, state), logits)
        return Second(bernoulli.from_state(other), (state - other) * jax.nn.sigmoid(jnp.abs(logits)) / 2)
