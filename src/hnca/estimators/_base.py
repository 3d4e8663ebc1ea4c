"""The contract of an estimator, and the ordinary backpropagation that turns credits into a gradient."""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators._cost import Cost, whole_passes
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective, as_objective

Credits = dict[str, Array]


class Passes(NamedTuple):
    """The forward passes that an estimator credits, where one is not enough: stacked along a first axis.

    Attributes:
        trace: of batch shape `[passes, *batch]`.
        weights: `[passes, *batch]`, of mean 1 over the passes: how much of the objective's mean each stands for.
    """

    trace: Trace
    weights: Float[Array, "passes *batch"]


class Combined(NamedTuple):
    """What the objective's values in the passes of an example come to.

    Attributes:
        value: of the example, `[*batch]`.
        weights: `[passes, *batch]`, of mean 1 over the passes: how much the objective's derivative in each counts in
            the direct part of the gradient; None where there is one pass.
    """

    value: Float[Array, "*batch"]
    weights: Float[Array, "passes *batch"] | None


class Estimate(eqx.Module):
    """What an estimator returns.

    Attributes:
        gradient: an estimate of the gradient of `E[f]` by the network's parameters, mean over the batch: a network
            whose array leaves are the gradients. It points uphill; Optax goes downhill, so chain `optax.scale(-1)`.
        objective_gradient: the same by the objective's own parameters (a decoder's), samples held fixed.
        credits: for every layer an estimate of `dE[f]/dlogits`, one number per logit and example.
        value: the objective, `[*batch]`.
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
    weights: Float[Array, "passes *batch"] | None

    @property
    def passes(self) -> int:
        """How many forward passes of each example are stacked along the first axis of `trace` and `credits`."""
        return math.prod(self.trace.batch_shape[: len(self.trace.batch_shape) - self.value.ndim])


class Estimator(eqx.Module):
    """A way to estimate `dE[f]/dlogits` from a trace. It never touches parameters.

    Calling it with (network, objective, trace) returns an `Estimate`; subclasses say only how to get the credits.
    """

    @abstractmethod
    def init(self, network: Network, objective: Objective) -> PyTree:
        """Returns the state before the first call (arrays only, so that it can be carried through a scan)."""

    @abstractmethod
    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        """Returns for every layer the credit, in the shape of its logits, and the new state."""

    def passes(self, network: Network, trace: Trace, key: Key[Array, ""] | None) -> Passes | None:
        """Returns the passes to credit, `trace` among them or not; None, as most do, for `trace` alone."""
        return None

    def combine(self, values: Float[Array, "passes *batch"], weights: Float[Array, "passes *batch"]) -> Combined:
        """Returns what the objective's values in the passes come to: as most have it, their weighted mean.

        Args:
            values: of the objective in every pass.
            weights: as in `Passes`.
        """
        return Combined(jnp.mean(weights * values, axis=0), weights)

    def cost(self, network: Network) -> Cost:
        """Returns what one estimate takes: of most the one forward pass, evaluated once."""
        return whole_passes(1)

    def __call__(
        self,
        network: Network,
        objective: Objective | Component,
        trace: Trace,
        *,
        key: Key[Array, ""] | None = None,
        state: PyTree = None,
    ) -> Estimate:
        """Returns the estimate for one batch.

        Args:
            network: the network that made the trace.
            objective: what to increase.
            trace: one forward pass, as `network.sample` returns it.
            key: for estimators that draw samples of their own.
            state: the state an earlier call returned; None begins with `init`.

        Raises:
            ValueError: if the objective names layers that the network has not, or its values have another shape
                than the trace's batch.
        """
        objective = as_objective(objective)
        state = self.init(network, objective) if state is None else state
        passes = self.passes(network, trace, key)
        if passes is not None:
            key, trace = None, passes.trace  # that key has been used
        credits, state = self.credit(network, objective, trace, key, state)
        combine = None if passes is None else partial(self.combine, weights=passes.weights)
        (gradient, objective_gradient), combined = _gradient((network, objective), trace, credits, combine)
        return Estimate(gradient, objective_gradient, credits, combined.value, state, trace, combined.weights)


def surrogate(
    network: Network, objective: Objective | Component, trace: Trace, credits: Mapping[str, Array]
) -> Float[Array, ""]:
    r"""Returns the scalar whose gradient by the network's parameters is the estimate; its value means nothing.

    `mean over the batch of [sum over layers <stop_gradient(credit), logits> + f]`, samples held fixed: the score part
    and the direct part of the gradient (Young 2022, Eq 4). Add it to a loss of your own under `jax.grad`.

    Args:
        network: whose parameters are differentiated.
        objective: gives the direct part, where it depends on parameters itself.
        trace: the forward pass.
        credits: for every layer, as in `Estimate.credits`.
    """
    return _surrogate(network, as_objective(objective), trace, credits, None)[0]


def value_and_grad(
    estimator: Estimator,
    network: Network,
    objective: Objective | Component,
    inputs: Mapping[str, Any],
    *,
    key: Key[Array, ""],
    state: PyTree = None,
    batch_shape: tuple[int, ...] | None = None,
) -> tuple[Float[Array, ""], Estimate]:
    """Samples the network and returns the objective's mean and the estimate of its gradient.

    For objectives whose value needs no environment. `key` is split into one for the sample and one for the estimator.
    """
    sample_key, estimator_key = jax.random.split(key)
    trace = network.sample(sample_key, inputs, batch_shape)
    estimate = estimator(network, objective, trace, key=estimator_key, state=state)
    return jnp.mean(estimate.value), estimate


def direct_credits(
    network: Network,
    objective: Objective | Component,
    trace: Trace,
    weights: Float[Array, "passes *batch"] | None = None,
) -> Credits:
    """Returns, for every layer, the derivative of the objective by the layer's logits, samples held fixed.

    What the direct part of the gradient (Young 2022, Eq 4) adds to the credits: the entropies of an ELBO depend on the
    logits themselves. `hnca.variance` takes the sum of both. `[*batch, ...]`, like `Estimate.credits`.

    Args:
        network: the network.
        objective: the objective.
        trace: the forward pass, or passes, as in `Estimate.trace`.
        weights: as in `Estimate.weights`.
    """

    def total(logits: Mapping[str, Array]) -> Float[Array, ""]:
        held = Trace(trace.values, dict(logits), trace.batch_shape)
        value = as_objective(objective).value(network, held)
        return jnp.sum(value if weights is None else weights * value)

    return jax.grad(total)(trace.logits)


Combine = Callable[[Float[Array, "passes *batch"]], Combined]


def _surrogate(
    network: Network, objective: Objective, trace: Trace, credits: Mapping[str, Array], combine: Combine | None
) -> tuple[Float[Array, ""], Combined]:
    """Returns the surrogate, and what the objective comes to."""
    held = network.evaluate(jax.lax.stop_gradient(trace.values), trace.batch_shape)
    value = objective.value(network, held)
    constant = jax.lax.stop_gradient(value)
    combined = Combined(constant, None) if combine is None else combine(constant)
    total = value if combined.weights is None else combined.weights * value
    for name, credit in credits.items():
        product = jax.lax.stop_gradient(credit) * held.logits[name]
        total += jnp.sum(product, axis=tuple(range(value.ndim, product.ndim)))
    return jnp.mean(total), combined


@eqx.filter_grad(has_aux=True)
def _gradient(
    trained: tuple[Network, Objective], trace: Trace, credits: Mapping[str, Array], combine: Combine | None
) -> tuple[Float[Array, ""], Combined]:
    return _surrogate(*trained, trace, credits, combine)
