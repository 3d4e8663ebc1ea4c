"""Local expectation gradients by brute force: every unit set to each of its values, all that follows drawn anew."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca.estimators._cost import Cost
from hnca.estimators._resampling import ResamplingEstimator
from hnca.network import Network, Trace
from hnca.objectives import Objective

AT_A_TIME = 8


class LocalExpectation(ResamplingEstimator):
    r"""The local expectation gradient, which HNCA estimates at the price of messages.

    **Formula.** For every unit and every value `v` it can take, everything after its layer is drawn anew with the unit
    at `v` and the other units of its layer as they are, and `f_v` is the sum of the components the layer can change.
    The credit is the exact expectation over the unit's own values: `p (1 - p) (f_1 - f_0)` on a Bernoulli logit,
    `p_k (f_k - sum_j p_j f_j)` on a categorical one. All values of all units of a layer are followed by the same random
    numbers, so that differences are of the unit's doing where they can be.

    **Bias.** None. **Cost.** For every unit and value a forward pass of what comes after and an evaluation of the
    objective: the product of the number of units, of their values and of the depth. It is a reference, for small
    networks; the evaluations are made eight at a time, so that memory stays that of eight. Needs an objective that can
    be evaluated more than once.

    Example:
        ```python
        estimator = hnca.LocalExpectation()
        bound, estimate = hnca.estimate(estimator, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Titsias and Lazaro-Gredilla, *Local expectation gradients for black box variational inference*, 2015;
    Young 2022, Section 1.2, compares.
    """

    def cost(self, network: Network) -> Cost:
        tried = {name: layer.units * layer.alternatives for name, layer in network.layers.items()}
        drawn = sum(count * len(network.after(name)) for name, count in tried.items())
        return Cost(1 + drawn / len(tried), 1 + sum(tried.values()))

    def credit_layer(
        self,
        network: Network,
        objective: Objective,
        trace: Trace,
        name: str,
        members: tuple[int, ...],
        value: Float[Array, "*batch"],
        key: Key[Array, ""],
    ) -> Float[Array, "*logits"]:
        layer, logits, taken = network.layers[name], trace.logits[name], trace[name]
        alternatives = layer.alternative_values(logits.dtype).astype(taken.dtype)

        def evaluate(place: Array) -> Float[Array, "*batch"]:
            unit, chosen = place // layer.alternatives, alternatives[place % layer.alternatives]
            other = network.resample(key, trace, name, taken.at[..., unit].set(chosen))
            return objective.value_of(members, network, other)

        results = jax.lax.map(evaluate, jnp.arange(layer.units * layer.alternatives), batch_size=AT_A_TIME)
        by_unit = jnp.moveaxis(results, 0, -1).reshape(*trace.batch_shape, layer.units, layer.alternatives)
        return layer.credit(logits, taken, None, None, layer.contrast(by_unit, taken))
