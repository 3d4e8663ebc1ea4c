"""VIMCO: the bound of several samples, each sample credited for what it adds to the others."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators._base import Combined, Credits
from hnca.estimators._downstream import scored
from hnca.estimators._passes import IndependentPassesEstimator
from hnca.estimators._requirements import require_repeatable
from hnca.network import Network, Trace
from hnca.objectives import Objective, roles


class VIMCO(IndependentPassesEstimator):
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
    mean of the other weights. In the direct part pass k has the weight `K w_k / sum_j w_j`.

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

    def combine(self, values: Float[Array, " passes *batch"], weights: Float[Array, " passes *batch"]) -> Combined:
        """Returns the bound, and the normalised importance weights times their number."""
        return Combined(_log_mean_exp(values, axis=0), values.shape[0] * jax.nn.softmax(values, axis=0))

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        require_repeatable(self, objective)
        _require_log_weight(network, objective)
        values = objective.value(network, trace)
        signal = values.shape[0] * _learning_signals(values)
        return {name: scored(network, trace, name, signal) for name in network.order}, state


def _require_log_weight(network: Network, objective: Objective) -> None:
    """Raises a ValueError unless the objective's value is the log of the importance weight."""
    roles(network, objective.components)  # names layers that the network has not
    if not objective.is_log_weight(network):
        kinds = ", ".join(map(str, objective.components))
        raise ValueError(
            "VIMCO: estimates the bound log 1/K sum w, so the objective's value has to be the log weight "
            "log p - log q; expected hnca.ELBO(encoder, decoder, hnca.SampledEntropy), hnca.LogProb of observed "
            "inputs with the network as the proposal, or a program that returns hnca.log_weight, and not the sum of "
            f"{kinds}."
        )


def _learning_signals(values: Float[Array, " passes *batch"]) -> Float[Array, " passes *batch"]:
    """Returns the log mean weight less the same with the pass's own weight replaced by the others' geometric mean."""
    passes = values.shape[0]
    others = (jnp.sum(values, axis=0, keepdims=True) - values) / (passes - 1)
    own = jnp.eye(passes, dtype=bool).reshape((passes, passes) + (1,) * (values.ndim - 1))
    replaced = jnp.where(own, others[:, None], values[None])
    return _log_mean_exp(values, axis=0)[None] - _log_mean_exp(replaced, axis=1)


def _log_mean_exp(values: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    return jax.nn.logsumexp(values, axis=axis) - math.log(values.shape[axis])
