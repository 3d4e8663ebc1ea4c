"""Local DisARM: the bound of several samples, each sample against its antithetic one."""

import equinox as eqx
import jax
from jaxtyping import Array, Key

from hnca.estimators._antithetic import antithetic_second
from hnca.estimators._base import Credits
from hnca.estimators._bound import BoundEstimator, LogWeights, learning_signals
from hnca.estimators._cost import Cost, passes_from_each_layer
from hnca.estimators._downstream import over_logits
from hnca.estimators._requirements import require_key
from hnca.network import Network, Trace


class LocalDisARM(BoundEstimator):
    r"""`DisARM` for the bound of several samples, `E[log 1/K sum_k w_k]`, of which `VIMCO` says what `w_k` is.

    `Estimate.value` is the bound's estimate, and `Estimate.gradient` and `objective_gradient` are those of the bound,
    not of the objective that is given.

    **Formula.** In pass k of K = `samples` a layer has the sample `x` and the antithetic one `x'` of the same logits,
    all after it drawn anew; `L` is the log of the mean weight, and `L_k` the same with `w_k` replaced by the weight
    with `x'` in it. The credit is `K/2 (x - x') sigmoid(|a|) (L - L_k)` for a Bernoulli unit, for a categorical one
    with `DisARM`'s weight for categories; the gradient is the mean of the passes'. In the direct part pass k has the
    weight `K w_k / sum_j w_j`.

    **Bias.** None, for the gradient of the bound: given the other passes, it is `DisARM` of a function of pass k.
    **Cost.** `samples` forward passes, and in each, for every layer, one more of what comes after it and one
    evaluation of the objective: quadratic in depth. Needs an objective that can be evaluated more than once.

    Example:
        ```python
        objective = hnca.ELBO(encoder, decoder, hnca.SampledEntropy)
        bound, estimate = hnca.estimate(hnca.LocalDisARM(samples=5), encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Dong, Mnih and Tucker, *DisARM: An antithetic gradient estimator for binary latent variables*, 2020,
    on bounds of several samples.

    Attributes:
        samples: K, at least 2.
    """

    samples: int = eqx.field(static=True, default=5)

    def cost(self, network: Network) -> Cost:
        of_pass = passes_from_each_layer(network, 1)
        return Cost(self.samples * of_pass.forward_passes, self.samples * of_pass.evaluations)

    def credits_of(self, weights: LogWeights, trace: Trace, key: Key[Array, ""] | None) -> Credits:
        network, values, credits = weights.network, weights.value(trace), {}
        for name, own_key in network.layer_keys(require_key(self, key, "what follows a layer is")).items():
            unit_key, after_key = jax.random.split(own_key)
            logits = trace.logits[name]
            second = antithetic_second(self, network.layers[name], unit_key, logits, trace[name])
            other = weights.resample(after_key, trace, name, second.values)
            signals = values.shape[0] * learning_signals(values, weights.value(other))
            credits[name] = second.weight * over_logits(signals, logits)
        return credits
