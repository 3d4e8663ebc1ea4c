"""REINFORCE with several further samples of each layer, each of which is the others' baseline."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca.estimators._cost import Cost, passes_from_each_layer
from hnca.estimators._downstream import over_logits
from hnca.estimators._passes import less_the_others
from hnca.estimators._requirements import require_samples
from hnca.estimators._resampling import ResamplingEstimator
from hnca.network import Network, Trace
from hnca.objectives import Objective


class MultiSampleLeaveOneOut(ResamplingEstimator):
    r"""The leave-one-out estimator with `samples` samples of each layer, resampling from the layer on.

    **Formula.** `x_1` is the layer's sample in the trace, `x_2 ... x_K` are others of the same logits, each with
    everything after it drawn anew, and `f_k` the components the layer can change. With `s` the score the credit is
    `1/K sum_k s(x_k) (f_k - 1/(K-1) sum_{j != k} f_j)`. With two samples it is `LeaveOneOut`.

    **Bias.** None. **Cost.** One forward pass, and for every layer `samples - 1` more of what comes after it:
    quadratic in depth. Needs an objective that can be evaluated more than once.

    Example:
        ```python
        estimator = hnca.MultiSampleLeaveOneOut(samples=4)
        bound, estimate = hnca.estimate(estimator, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Kool, van Hoof and Welling, *Buy 4 REINFORCE samples, get a baseline for free!*, 2019; Young 2022,
    Eq 10, with two.

    Attributes:
        samples: K, at least 2.
    """

    samples: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        require_samples(self, self.samples)

    def cost(self, network: Network) -> Cost:
        return passes_from_each_layer(network, self.samples - 1)

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
        layer, logits = network.layers[name], trace.logits[name]

        def another(one: Key[Array, ""]) -> tuple[Array, Float[Array, "*batch"]]:
            unit_key, after_key = jax.random.split(one)
            values = layer.sample(unit_key, logits)
            other = network.resample(after_key, trace, name, values)
            return layer.score(logits, values), objective.value_of(members, network, other)

        scores, values = jax.vmap(another)(jax.random.split(key, self.samples - 1))
        scores = jnp.concatenate([layer.score(logits, trace[name])[None], scores])
        centred = less_the_others(jnp.concatenate([value[None], values]))
        return jnp.mean(scores * over_logits(centred, scores), axis=0)
