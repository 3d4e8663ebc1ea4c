"""Estimators that backpropagate through the samples, with a derivative in place of the one that samples have not."""

from abc import abstractmethod

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators._base import Credits, Estimator
from hnca.estimators._relaxation import Relaxation, relaxation_of
from hnca.estimators._requirements import require_differentiable
from hnca.network import Network, Trace
from hnca.objectives import Objective


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

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        require_differentiable(self, network, objective)
        keys = {} if key is None else network.layer_keys(key)

        def total(shifts: Credits) -> Float[Array, ""]:
            def take(name: str, logits: Float[Array, "*logits"]) -> Array:
                relaxation = relaxation_of(self, network.layers[name])
                here = trace.logits[name], relaxation.point(trace[name], trace.logits[name])
                # The shift is not in the logits that the objective sees: those are the direct part's.
                change = self.derivative(relaxation, keys.get(name), *here, logits + shifts[name])
                return relaxation.values(moving(here[1], change))

            moved = network.forward_pass(take, trace.values, trace.batch_shape)
            return jnp.sum(objective.value(network, moved))

        return jax.grad(total)(jax.tree.map(jnp.zeros_like, trace.logits)), state


@jax.custom_jvp
def moving(point: Float[Array, "*logits"], _change: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
    """Returns the point, with the derivative of the change: exactly, and the change itself is never computed."""
    return point


@moving.defjvp
def _moving_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    return primals[0], tangents[1]
