"""Estimators whose objective is the bound of several samples, given the log of one sample's weight."""

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators._base import Combined, Credits
from hnca.estimators._passes import IndependentPassesEstimator
from hnca.estimators._requirements import require_repeatable
from hnca.network import Network, Trace
from hnca.objectives import Objective, roles


class LogWeights(NamedTuple):
    """What a bound is made of: passes and their log weights, wherever these come from.

    Attributes:
        network: whose layers the passes have drawn; what else it reads may differ from pass to pass.
        value: returns the log weights `[passes, *batch]` of a trace of as many.
        resample: as `Network.resample`, each pass as it is otherwise.
        subtracts_log_q: whether the log weight subtracts the log-probability of what was drawn.
    """

    network: Network
    value: Callable[[Trace], Float[Array, " passes *batch"]]
    resample: Callable[[Key[Array, ""], Trace, str, Array], Trace]
    subtracts_log_q: bool


class BoundEstimator(IndependentPassesEstimator):
    """Of the bound `log 1/K sum_k w_k`, which is `Estimate.value`; the objective's value is the log of a weight.

    In the direct part of the gradient pass k counts with `K w_k / sum_j w_j`.
    """

    def combine(self, values: Float[Array, " passes *batch"], weights: Float[Array, " passes *batch"]) -> Combined:
        """Returns the bound, and the normalised importance weights times their number."""
        return Combined(log_mean_exp(values, axis=0), normalised(values))

    @abstractmethod
    def credits_of(self, weights: LogWeights, trace: Trace, key: Key[Array, ""] | None) -> Credits:
        """Returns the credits of all passes.

        Args:
            weights: of the passes.
            trace: of all of them.
            key: for estimators that draw more than the passes.
        """

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        self.require_log_weight(network, objective)
        value = partial(objective.value, network)
        weights = LogWeights(network, value, network.resample, objective.subtracts_log_q(network))
        return self.credits_of(weights, trace, key), state

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
