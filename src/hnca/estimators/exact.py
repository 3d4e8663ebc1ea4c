"""The gradient itself, by enumerating every joint state of a small network."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca._precision import in_32_bits
from hnca.estimators._base import Credits, Estimator, Passes
from hnca.estimators._cost import Cost, whole_passes
from hnca.estimators._downstream import downstream_values, scored
from hnca.estimators._requirements import require_repeatable
from hnca.joint_states import joint_states
from hnca.network import Network, Trace
from hnca.objectives import Objective


class Exact(Estimator):
    r"""No estimate: `E[f]` and its gradient, summed over all joint states. For small networks, and for comparing.

    **Formula.** The passes are the joint states `s`, `n` of them; a layer's credit in each is
    `n P(s) score(s) (f(s) - E[f])`, and the gradient their mean. `E[f]` changes nothing but that no digits are lost
    where `f` is large and varies little.

    **Bias.** None, and no variance. **Cost.** `2 ** units` forward passes and evaluations of the objective.
    Needs an objective that can be evaluated for every state.

    Example:
        ```python
        bound, estimate = hnca.estimate(hnca.Exact(), encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** The definition of the expectation; `hnca.exact` proves the estimators with it.
    """

    def passes(self, network: Network, trace: Trace, key: Key[Array, ""] | None) -> Passes:
        states = joint_states(network)
        count = next(iter(states.values())).shape[0]
        shape = (count, *trace.batch_shape)
        values = {
            name: jnp.broadcast_to(trace[name], (count, *trace[name].shape))
            if name not in states
            else jnp.broadcast_to(
                states[name].reshape(count, *(1 for _ in trace.batch_shape), -1), (*shape, states[name].shape[-1])
            )
            for name in trace.values
        }
        every = network.evaluate(values, shape)
        chances = jnp.exp(in_32_bits(network).log_prob(in_32_bits(every)))
        return Passes(every, jax.lax.stop_gradient(count * chances))

    def cost(self, network: Network) -> Cost:
        layers = network.layers.values()
        return whole_passes(math.prod(layer.alternatives**layer.units for layer in layers))

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        require_repeatable(self, objective)
        probability = jnp.exp(network.log_prob(trace))
        count = trace.batch_shape[0]

        def weighted(value: Float[Array, " states *batch"]) -> Float[Array, " states *batch"]:
            # What cannot happen has no weight, were it infinite (a log-probability, say).
            value = jnp.where(probability == 0, 0, value)
            return count * probability * (value - jnp.sum(probability * value, axis=0, keepdims=True))

        credits = {}
        for name, value in downstream_values(network, objective, trace).items():
            credits[name] = scored(network, trace, name, None if value is None else weighted(value))
        return credits, state
