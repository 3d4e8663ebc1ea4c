"""Reweighted wake-sleep: the model learns from weighted samples, and the proposal to be where their weight is."""

import equinox as eqx
from jaxtyping import Array, Key

from hnca.estimators._base import Credits
from hnca.estimators._bound import BoundEstimator, LogWeights, normalised
from hnca.estimators._downstream import scored
from hnca.network import Trace


class ReweightedWakeSleep(BoundEstimator):
    r"""Two wake phases over K weighted samples; of a proposal that is the prior, it is EM.

    `w_k` is the weight of the k-th of `samples` independent passes; `VIMCO` says of which objectives. `Estimate.value`
    is the estimate of the bound `log 1/K sum_k w_k`, `Estimate.objective_gradient` the bound's own gradient by the
    model, without bias as such.

    **Formula.** With `v_k = w_k / sum_j w_j` and `s` the score, pass k moves a layer's logits by `v_k s(x_k)`: the
    proposal ascends `sum_k v_k log q(x_k | inputs)`, the model `sum_k v_k log p(inputs, x_k)`. Where `log q` is part of
    the objective, the credit makes good what it adds to the direct part: it is `2 K v_k s(x_k)`, and `K v_k s(x_k)`
    where the network is the prior and the proposal too (`hnca.LogProb` of an observed input; in a program
    `hnca.log_weight(log_likelihood, None)`). The second is the expectation maximisation of stochastic feedforward
    networks: `sum_k v_k [log p(y | x_k) + log p(x_k | inputs)]`.

    **Bias.** Biased, by the weights' normalisation, as an estimate of the gradient of `E_p[log q(x | inputs)]` under
    the posterior p, and of the log-likelihood's by the model; consistent: both vanish with `1 / samples`. It is no
    estimate of the gradient of the bound by the proposal, which is worth less the more samples there are, while this is
    worth more. **Cost.** `samples` forward passes and evaluations of the objective, whatever the depth. Needs an
    objective that can be evaluated more than once.

    Example:
        ```python
        objective = hnca.ELBO(encoder, decoder, hnca.SampledEntropy)
        method = hnca.ReweightedWakeSleep(samples=10)
        bound, estimate = hnca.estimate(method, encoder, objective, {"image": images}, key=key)
        ```

    **Sleep.** The third phase, to learn the proposal from what the model dreams, has no draw to be credited for; its
    gradient is JAX's own:

        ```python
        def sleep_loss(encoder, decoder, key):
            dream = decoder.sample(key, {}, (batch,))  # of a decoder without inputs
            return -jnp.mean(encoder.log_prob(encoder.evaluate(dream.values, (batch,))))
        ```

    **Reference.** Bornschein and Bengio, *Reweighted wake-sleep*, 2015; Le, Kosiorek, Siddharth, Teh and Wood,
    *Revisiting reweighted wake-sleep for models with stochastic control flow*, 2019, the wake phases; EM: Tang and
    Salakhutdinov, *Learning stochastic feedforward neural networks*, 2013.

    Attributes:
        samples: K, at least 2.
    """

    samples: int = eqx.field(static=True, default=5)

    def credits_of(self, weights: LogWeights, trace: Trace, key: Key[Array, ""] | None) -> Credits:
        share = normalised(weights.value(trace))
        worth = 2 * share if weights.subtracts_log_q else share
        return {name: scored(weights.network, trace, name, worth) for name in weights.network.order}
