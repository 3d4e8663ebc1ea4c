"""The concrete relaxation: the whole pass at values between the discrete ones."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca.estimators._base import Passes
from hnca.estimators._pathwise import PathwiseEstimator
from hnca.estimators._relaxation import Relaxation, finite, relaxation_of
from hnca.estimators._requirements import Temperature, require_key, require_temperature, usable_temperature
from hnca.network import Network, Trace


class GumbelSoftmax(PathwiseEstimator):
    r"""The Gumbel-softmax, or concrete, estimator: every unit relaxed, the objective evaluated at relaxed values.

    **Formula.** A categorical unit takes `x = softmax((a + g) / temperature)` with Gumbel noise `g`, a point of the
    simplex in place of a corner; a Bernoulli unit `sigmoid((a + l) / temperature)` with logistic noise `l`. The
    gradient is the ordinary one of the objective at these values, the noise held fixed.

    **Bias.** Biased: it is the gradient of another objective, the relaxed one, whose value `Estimate.value` is (for an
    ELBO no bound). For one Bernoulli unit at `a = 0`, `f = x` and temperature 1 it expects 1/6 where the gradient is
    1/4. The bias vanishes with the temperature, while the variance grows without bound. **Cost.** One forward pass of
    its own (that of the trace given is not used), one evaluation of the objective and one backpropagation through it.
    Needs an objective that can be differentiated by the values of the units.

    A categorical layer's values in `Estimate.trace` are floats `[1, *batch, units, categories]`.

    Example:
        ```python
        estimator = hnca.GumbelSoftmax(temperature=0.5)
        relaxed_bound, estimate = hnca.estimate(estimator, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Jang, Gu and Poole, *Categorical reparameterization with Gumbel-softmax*, 2017; Maddison, Mnih and
    Teh, *The concrete distribution: a continuous relaxation of discrete random variables*, 2017.

    Attributes:
        temperature: above 0; the lower, the closer to discrete. A number, or an array `[]`, which can be annealed
            without compiling anew: `GumbelSoftmax(jnp.maximum(0.5, jnp.exp(-1e-4 * step)))` inside a compiled update.
    """

    temperature: Temperature = 0.5

    def __check_init__(self):
        require_temperature(self, self.temperature)

    def passes(self, network: Network, trace: Trace, key: Key[Array, ""] | None) -> Passes:
        keys = network.layer_keys(require_key(self, key, "the relaxed pass is"))
        inputs, shape = {name: trace[name][None] for name, _ in network.inputs}, (1, *trace.batch_shape)

        def take(name: str, logits: Float[Array, "*logits"]) -> Array:
            relaxation = relaxation_of(self, network.layers[name])
            scores = finite(logits) + relaxation.noise(keys[name], logits)
            return relaxation.values(relaxation.soft(scores / usable_temperature(self.temperature, scores.dtype)))

        return Passes(network.forward_pass(take, inputs, shape), jnp.ones(shape, network.dtype))

    def derivative(
        self,
        relaxation: Relaxation,
        key: Key[Array, ""] | None,
        logits: Float[Array, "*logits"],
        point: Float[Array, "*logits"],
        change: Float[Array, "*logits"],
    ) -> Float[Array, "*logits"]:
        return relaxation.along(point, change) / usable_temperature(self.temperature, change.dtype)
