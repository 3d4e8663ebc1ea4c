"""What estimators hand over: the passes they credit, and what comes of them."""

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hnca.network import Network, Trace
from hnca.objectives import Objective

Credits = dict[str, Array]


class Passes(NamedTuple):
    """The forward passes that an estimator credits, where one is not enough: stacked along a first axis.

    Attributes:
        trace: of batch shape `[passes, *batch]`.
        weights: `[passes, *batch]`, of mean 1 over the passes: how much of the objective's mean each stands for.
    """

    trace: Trace
    weights: Float[Array, " passes *batch"]


class Combined(NamedTuple):
    """What the objective's values in the passes of an example come to.

    Attributes:
        value: of the example, `[*batch]`.
        weights: `[passes, *batch]`, of mean 1 over the passes: how much the objective's derivative in each counts in
            the direct part of the gradient; None where there is one pass.
    """

    value: Float[Array, "*batch"]
    weights: Float[Array, " passes *batch"] | None


def weighted_values(values: Float[Array, "*shape"], weights: Float[Array, "*shape"] | None) -> Float[Array, "*shape"]:
    """Returns values times their weights, without which they are what they are.

    What has no weight counts for nothing, whatever it is: the log-probability of what cannot happen is infinite.
    """
    return values if weights is None else weights * jnp.where(weights == 0, 0, values)


class Estimate(eqx.Module):
    """What an estimator returns.

    Attributes:
        gradient: an estimate of the gradient of `E[f]` by the network's parameters, mean over the batch: a network
            whose array leaves are the gradients. It points uphill; Optax goes downhill, so chain `optax.scale(-1)`.
        objective_gradient: the same by the objective's own parameters (a decoder's), samples held fixed.
        credits: for every layer an estimate of `dE[f]/dlogits`, one number per logit and example, in the network's
            dtype, or float32 for a shorter one.
        value: the objective, `[*batch]`, likewise.
        state: what to give to the next call (baselines).
        trace: the forward pass that `credits` belong to: the one given or, for an estimator that makes passes of its
            own, all of them along a first axis (then `credits` have that axis too, and the gradient is their mean).
        weights: of these passes in the direct part of the gradient, as in `Combined`; None for one pass.
    """

    gradient: Network
    objective_gradient: Objective
    credits: Credits
    value: Float[Array, "*batch"]
    state: PyTree
    trace: Trace
    weights: Float[Array, " passes *batch"] | None

    @property
    def passes(self) -> int:
        """How many forward passes of each example are stacked along the first axis of `trace` and `credits`."""
        return math.prod(self.trace.batch_shape[: len(self.trace.batch_shape) - self.value.ndim])
