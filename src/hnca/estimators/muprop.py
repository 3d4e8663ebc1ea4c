"""MuProp: REINFORCE less the linear part of the objective around a pass without noise, which is then put back."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators._base import Credits, Estimator
from hnca.estimators._cost import Cost, whole_passes
from hnca.estimators._downstream import downstream_values, over_logits
from hnca.estimators._requirements import require_bernoulli, require_repeatable
from hnca.network import Network, Trace
from hnca.objectives import Objective


class MuProp(Estimator):
    r"""The first-order Taylor expansion around the mean-field pass as a control variate.

    **Formula.** In the mean-field pass every layer takes its mean, `m`, given that of its parents; `f_m` is the sum of
    the components a layer can change there, and `g` its derivative by the layer's values, through all layers after it.
    With `s` the score and `mu(a)` the mean given the logits `a` of the sampled pass the credit is
    `s(x) (f(x) - f_m - <g, x - m>) + g mu'(a)`.

    **Bias.** None: what is subtracted depends on the layer's sample through `<g, x>` alone, whose expectation has the
    derivative `g mu'(a)`. **Cost.** One forward pass, one mean-field pass and one backpropagation through it; linear in
    depth. For Bernoulli layers and objectives that can be evaluated, and differentiated, at means.

    Example:
        ```python
        bound, estimate = hnca.estimate(hnca.MuProp(), encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Gu, Levine, Sutskever and Mnih, *MuProp: Unbiased backpropagation for stochastic neural networks*,
    2016, Eqs 8 to 10.
    """

    def cost(self, network: Network) -> Cost:
        return whole_passes(2)

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        require_repeatable(self, objective)
        mean_field = self._mean_field(network, trace, {})
        slopes = self._slopes(network, objective, trace)
        expansions = downstream_values(network, objective, mean_field)
        credits = {}
        for name, value in downstream_values(network, objective, trace).items():
            layer, logits = require_bernoulli(self, network.layers[name]), trace.logits[name]
            expansion = expansions[name]
            if value is None or expansion is None:
                credits[name] = jnp.zeros_like(logits)
                continue
            slope, spread = slopes[name], trace[name] - mean_field[name]
            residual = value - expansion - jnp.sum(slope * spread, axis=-1)
            probability = jax.nn.sigmoid(logits)
            linear = slope * layer.span * probability * (1 - probability)
            credits[name] = layer.score(logits, trace[name]) * over_logits(residual, logits) + linear
        return credits, state

    def _mean_field(self, network: Network, trace: Trace, shifts: dict[str, Array]) -> Trace:
        """Returns the pass in which every layer takes its mean, plus a shift where there is one."""

        def take(name: str, logits: Float[Array, "*logits"]) -> Array:
            mean = require_bernoulli(self, network.layers[name]).mean(logits)
            return mean + shifts[name] if name in shifts else mean

        inputs = {name: trace[name] for name, _ in network.inputs}
        return network.forward_pass(take, inputs, trace.batch_shape)

    def _slopes(self, network: Network, objective: Objective, trace: Trace) -> dict[str, Float[Array, "*batch units"]]:
        """Returns the derivative of the objective by every layer's values, in the mean-field pass and all after it."""

        def total(shifts: dict[str, Array]) -> Float[Array, ""]:
            return jnp.sum(objective.value(network, self._mean_field(network, trace, shifts)))

        return jax.grad(total)({name: jnp.zeros_like(trace.logits[name]) for name in network.order})
