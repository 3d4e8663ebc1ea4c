"""VIMCO: the bound of several samples, each sample credited for what it adds to the others."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca.estimators._base import Credits
from hnca.estimators._bound import BoundEstimator, LogWeights, learning_signals, log_mean_exp
from hnca.estimators._downstream import scored
from hnca.estimators._passes import mean_of_the_others
from hnca.network import Trace


class VIMCO(BoundEstimator):
    r"""Another objective than all other estimators': the bound of several samples, `E[log 1/K sum_k w_k]`.

    `w_k` is the weight of the k-th of `samples` independent passes, and the objective's value is its logarithm. That is
    one of two:

    - `hnca.ELBO(encoder, decoder, hnca.SampledEntropy)`: `w_k = p(inputs, x_k) / q(x_k | inputs)`. The bound lies
      between the ELBO and `log p(inputs)`.
    - `hnca.LogProb(layer, "y", inputs=("y",))` of an observed `y`, or several such: the network is the prior
      `p(x | inputs)` and the proposal too, so `w_k = p(y | x_k, inputs)`. The bound lies below `log p(y | inputs)`.

    `Estimate.value` is the bound's estimate, and `Estimate.gradient` and `objective_gradient` are those of the bound,
    not of the objective that is given.

    **Formula.** With `s` the score, the credit on a layer's logits in pass k is `s(x_k) K (L - L_k)`, and the gradient
    the mean of the passes'. `L` is the log of the mean weight, and `L_k` the same with `w_k` replaced by the geometric
    mean of the other weights (and is 0 where that would be minus infinity, all others being 0). In the direct part pass
    k has the weight `K w_k / sum_j w_j`. In a program every pass has its own noise of `jax.random`, made of the keys
    that the function is given.

    **Bias.** None, for the gradient of the bound: `L_k` does not depend on `x_k`. **Cost.** `samples` forward passes
    and evaluations of the objective, whatever the depth. Needs an objective that can be evaluated more than once.

    Example:
        ```python
        objective = hnca.ELBO(encoder, decoder, hnca.SampledEntropy)
        bound, estimate = hnca.estimate(hnca.VIMCO(samples=5), encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Mnih and Rezende, *Variational inference for Monte Carlo objectives*, 2016, Eqs 5 to 10; the bound:
    Burda, Grosse and Salakhutdinov, *Importance weighted autoencoders*, 2016; with the prior as the proposal: Tang and
    Salakhutdinov, *Learning stochastic feedforward neural networks*, 2013.

    Attributes:
        samples: K, at least 2.
    """

    samples: int = eqx.field(static=True, default=5)

    def credits_of(self, weights: LogWeights, trace: Trace, key: Key[Array, ""] | None) -> Credits:
        network, values = weights.network, weights.value(trace)
        signal = learning_signals(values, _mean_of_the_others(values))
        # Where all others' weights are 0 nothing stands in for this one; 0 is a baseline too, and a finite one.
        signal = values.shape[0] * jnp.where(jnp.isposinf(signal), log_mean_exp(values, axis=0)[None], signal)
        return {name: scored(network, trace, name, signal) for name in network.order}


def _mean_of_the_others(values: Float[Array, " passes *batch"]) -> Float[Array, " passes *batch"]:
    """Returns the log of the geometric mean of the other passes' weights: minus infinity where one of them is 0."""
    impossible = jnp.isneginf(values)
    others = jnp.sum(impossible, axis=0, keepdims=True) > impossible.astype(int)
    return jnp.where(others, -jnp.inf, mean_of_the_others(jnp.where(impossible, 0, values)))
