"""Estimators that backpropagate through the samples, with a derivative in place of the one that samples have not."""

from abc import abstractmethod

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators._base import Credits, Estimator
from hnca.estimators._differentiable import require_differentiable
from hnca.estimators._relaxation import Relaxation, relaxation_of
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective


class PathwiseEstimator(Estimator):
    """One backpropagation of the objective, at the values of the trace, to the logits of every layer.

    Values stay what they are in the trace; each is given a derivative by its logits. The credit leaves out what the
    objective owes to the layer's logits themselves, which the direct part of the gradient adds.
    """

    @abstractmethod
    def derivative(
        self,
        relaxation: Relaxation,
        key: Key[Array, ""] | None,
        logits: Float[Array, "*logits"],
        point: Float[Array, "*logits"],
        change: Float[Array, "*logits"],
    ) -> Float[Array, "*logits"]:
        """Returns how far a layer's point is said to move for a change of its logits; linear in the change.

        Args:
            relaxation: of the layer.
            key: the layer's own, or None where the estimator was given none.
            logits: of the layer.
            point: where its values are.
            change: of the logits.
        """

    def init(self, network: Network, objective: Objective | Component) -> PyTree:
        return {}

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        require_differentiable(self, network, objective)
        keys = [None] * len(network.order) if key is None else jax.random.split(key, len(network.order))

        def total(shifts: Credits) -> Float[Array, ""]:
            values, logits = dict(trace.values), {}
            for name, layer_key in zip(network.order, keys, strict=True):
                relaxation = relaxation_of(self, network.layers[name])
                logits[name] = network.layer_logits(values, name, trace.batch_shape)
                here = trace.logits[name], relaxation.point(trace[name], trace.logits[name])
                # The shift is not in the logits that the objective sees: those are the direct part's.
                change = self.derivative(relaxation, layer_key, *here, logits[name] + shifts[name])
                values[name] = relaxation.values(_moving(here[1], change))
            return jnp.sum(objective.value(network, Trace(values, logits, trace.batch_shape)))

        return jax.grad(total)(jax.tree.map(jnp.zeros_like, trace.logits)), state


@jax.custom_jvp
def _moving(point: Float[Array, "*logits"], _change: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
    """Returns the point, with the derivative of the change: exactly, and the change itself is never computed."""
    return point


@_moving.defjvp
def _moving_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    return primals[0], tangents[1]
