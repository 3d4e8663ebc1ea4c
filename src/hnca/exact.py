"""Exact answers for small networks, by enumerating every joint state.

Run in float64 (`jax.enable_x64(True)`, parameters of that dtype) these are equalities to about 1e-10, the ground on
which the estimators stand: `gradient` is what an unbiased one expects, `moments` its expectation and its variance.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hnca.estimators import Estimator
from hnca.joint_states import MAXIMUM_STATES as MAXIMUM_STATES
from hnca.joint_states import joint_states as joint_states
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective, as_objective

ObjectiveOf = Objective | Component | Callable[[Trace], Objective | Component]
"""An objective, or (for a reward, which has to be looked up anew for every state) a function from the trace of one
state, without batch axes, to it."""


class Moments(NamedTuple):
    """Expectation and elementwise variance of a random pytree, each in its structure."""

    mean: PyTree
    variance: PyTree


def expectation(network: Network, inputs: Mapping[str, Array], function: Callable[[Trace], PyTree]) -> PyTree:
    """Returns `E[function(trace)]` over the network's samples, leaf by leaf.

    Args:
        network: the network.
        inputs: one example, without batch axes.
        function: takes the trace of one state, without batch axes.

    Raises:
        ValueError: if there are more than `MAXIMUM_STATES` joint states.
    """

    def of_all(states: PyTree) -> PyTree:
        probabilities, results = _over_states(network, inputs, function, states)
        return jax.tree.map(lambda leaf: _mean(probabilities, leaf), results)

    return jax.jit(of_all)(joint_states(network))


def value(network: Network, objective: ObjectiveOf, inputs: Mapping[str, Array]) -> Float[Array, ""]:
    """Returns `E[f]`; arguments and errors as for `gradient`."""

    def one_state(trace: Trace) -> Array:
        return _objective(objective, trace).value(network, trace)

    return expectation(network, inputs, one_state)


def gradient(network: Network, objective: ObjectiveOf, inputs: Mapping[str, Array]) -> Network:
    """Returns the gradient of `E[f]` by the network's parameters.

    Args:
        network: the network.
        objective: the objective, or a function that makes it from the trace of one state (a reward).
        inputs: one example, without batch axes.

    Raises:
        ValueError: if there are more than `MAXIMUM_STATES` joint states.
    """
    return eqx.filter_jit(eqx.filter_grad(lambda candidate: value(candidate, objective, inputs)))(network)


def moments(
    estimator: Estimator,
    network: Network,
    objective: ObjectiveOf,
    inputs: Mapping[str, Array],
    state: PyTree = None,
) -> Moments:
    """Returns the expectation and the elementwise variance of an estimator's gradient from one sample.

    Args:
        estimator: one that is a function of the trace (it is given no key).
        network: the network.
        objective: the objective, or a function that makes it from the trace of one state (a reward).
        inputs: one example, without batch axes.
        state: the estimator's state; None for a fresh one.

    Raises:
        ValueError: if there are more than `MAXIMUM_STATES` joint states.
    """

    def one_state(trace: Trace) -> PyTree:
        estimate = estimator(network, _objective(objective, trace), trace, state=state)
        return eqx.filter(estimate.gradient, eqx.is_inexact_array)

    def of_all(states: PyTree) -> Moments:
        probabilities, gradients = _over_states(network, inputs, one_state, states)
        mean = jax.tree.map(lambda leaf: _mean(probabilities, leaf), gradients)
        variance = jax.tree.map(lambda leaf, m: _mean(probabilities, (leaf - m[None]) ** 2), gradients, mean)
        return Moments(mean, variance)

    return jax.jit(of_all)(joint_states(network))


def _over_states(
    network: Network, inputs: Mapping[str, Array], function: Callable[[Trace], PyTree], states: PyTree
) -> tuple[Float[Array, " states"], PyTree]:
    """Returns every joint state's probability and the function's result for it, stacked."""

    def one_state(values: dict[str, Array]) -> tuple[Array, PyTree]:
        trace = network.evaluate({**inputs, **values}, ())
        return jnp.exp(network.log_prob(trace)), function(trace)

    return jax.lax.map(one_state, states, batch_size=4096)


def _objective(objective: ObjectiveOf, trace: Trace) -> Objective:
    return as_objective(objective if isinstance(objective, Objective | Component) else objective(trace))


def _mean(probabilities: Float[Array, " states"], leaf: Array) -> Array:
    # What cannot happen has no weight, were it infinite (a log-probability, say).
    possible = (probabilities > 0).reshape(-1, *(1 for _ in leaf.shape[1:]))
    return jnp.tensordot(probabilities, jnp.where(possible, leaf, 0), axes=1)
