"""Estimators whose objective is the bound of several samples, given the log of one sample's weight."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.estimators._base import Combined
from hnca.estimators._passes import IndependentPassesEstimator
from hnca.estimators._requirements import require_repeatable
from hnca.network import Network
from hnca.objectives import Objective, roles


class BoundEstimator(IndependentPassesEstimator):
    """Of the bound `log 1/K sum_k w_k`, which is `Estimate.value`; the objective's value is the log of a weight.

    In the direct part of the gradient pass k counts with `K w_k / sum_j w_j`.
    """

    def combine(self, values: Float[Array, " passes *batch"], weights: Float[Array, " passes *batch"]) -> Combined:
        """Returns the bound, and the normalised importance weights times their number."""
        return Combined(log_mean_exp(values, axis=0), normalised(values))

    def require_log_weight(self, network: Network, objective: Objective) -> None:
        """Raises a ValueError unless the objective's value is the log of the importance weight, and can be repeated."""
        require_repeatable(self, objective)
        roles(network, objective.components)  # names layers that the network has not
        if not objective.is_log_weight(network):
            kinds = ", ".join(map(str, objective.components))
            raise ValueError(
                f"{type(self).__name__}: estimates the bound log 1/K sum w, so the objective's value has to be the log "
                "weight log p - log q; expected hnca.ELBO(encoder, decoder, hnca.SampledEntropy), hnca.LogProb of "
                "observed inputs with the network as the proposal, or a program that returns hnca.log_weight as it is "
                f"(the gradient points uphill: negate that for a loss), and not the sum of {kinds}."
            )


def learning_signals(
    values: Float[Array, " passes *batch"], instead: Float[Array, " passes *batch"]
) -> Float[Array, " passes *batch"]:
    """Returns, for each pass, the log mean weight less the same with this pass's log weight replaced by another."""
    passes = values.shape[0]
    own = jnp.eye(passes, dtype=bool).reshape((passes, passes) + (1,) * (values.ndim - 1))
    replaced = jnp.where(own, instead[:, None], values[None])
    return log_mean_exp(values, axis=0)[None] - log_mean_exp(replaced, axis=1)


def normalised(values: Float[Array, " passes *batch"]) -> Float[Array, " passes *batch"]:
    """Returns the weights of the passes, of mean 1, by their logarithms."""
    return values.shape[0] * jax.nn.softmax(values, axis=0)


def log_mean_exp(values: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Returns the log of the mean of the exponentials along an axis."""
    return jax.nn.logsumexp(values, axis=axis) - math.log(values.shape[axis])
