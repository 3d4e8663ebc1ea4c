"""The contract of an estimator, and the ordinary backpropagation that turns credits into a gradient."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.network import Network, Trace
from hnca.objectives import Component, Objective, as_objective

Credits = dict[str, Array]


class Estimate(eqx.Module):
    """What an estimator returns.

    Attributes:
        gradient: an estimate of the gradient of `E[f]` by the network's parameters, mean over the batch: a network
            whose array leaves are the gradients. It points uphill; Optax goes downhill, so chain `optax.scale(-1)`.
        objective_gradient: the same by the objective's own parameters (a decoder's), samples held fixed.
        credits: for every layer an estimate of `dE[f]/dlogits`, one number per logit and example.
        value: the objective, `[*batch]`.
        state: what to give to the next call (baselines).
    """

    gradient: Network
    objective_gradient: Objective
    credits: Credits
    value: Float[Array, "*batch"]
    state: PyTree


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
        credits, state = self.credit(network, objective, trace, key, state)
        (gradient, objective_gradient), value = _gradient((network, objective), trace, credits)
        return Estimate(gradient, objective_gradient, credits, value, state)


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
        objective_gradient: the same by the objective's own parameters (a decoder's), samples held fixed.
        credits: for every layer, as in `Estimate.credits`.
    """
    return _surrogate_and_value(network, as_objective(objective), trace, credits)[0]


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


def _surrogate_and_value(
    network: Network, objective: Objective, trace: Trace, credits: Mapping[str, Array]
) -> tuple[Float[Array, ""], Float[Array, "*batch"]]:
    held = network.evaluate(jax.lax.stop_gradient(trace.values), trace.batch_shape)
    value = objective.value(network, held)
    total = value
    for name, credit in credits.items():
        product = jax.lax.stop_gradient(credit) * held.logits[name]
        total += jnp.sum(product, axis=tuple(range(value.ndim, product.ndim)))
    return jnp.mean(total), value


@eqx.filter_grad(has_aux=True)
def _gradient(
    trained: tuple[Network, Objective], trace: Trace, credits: Mapping[str, Array]
) -> tuple[Float[Array, ""], Float[Array, "*batch"]]:
    network, objective = trained
    return _surrogate_and_value(network, objective, trace, credits)
