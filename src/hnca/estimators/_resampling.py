"""Estimators that draw each layer again, and everything after it with it."""

from abc import abstractmethod

import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators._base import Credits, Estimator
from hnca.estimators._downstream import downstream_members
from hnca.estimators._requirements import require_key, require_repeatable
from hnca.network import Network, Trace
from hnca.objectives import Objective


class ResamplingEstimator(Estimator):
    """Credits layer by layer: by other trajectories from that layer on, all before it as in the trace.

    Each layer adds passes over what comes after it, so cost is quadratic in depth.
    """

    @abstractmethod
    def credit_layer(
        self,
        network: Network,
        objective: Objective,
        trace: Trace,
        name: str,
        members: tuple[int, ...],
        value: Float[Array, "*batch"],
        key: Key[Array, ""],
    ) -> Float[Array, "*logits"]:
        """Returns the credit of one layer.

        Args:
            network: the network.
            objective: the components.
            trace: the forward pass.
            name: the layer.
            members: the places of the components it can change, at least one.
            value: their sum in the trace.
            key: the layer's own.
        """

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        require_repeatable(self, objective)
        reached = downstream_members(network, objective)
        keys = network.layer_keys(require_key(self, key, "what follows a layer is"))
        values = objective.values(network, trace)
        credits = {name: jnp.zeros_like(trace.logits[name]) for name in network.order}
        for name, members in reached.items():
            if members:
                here = sum((values[place] for place in members[1:]), values[members[0]])
                credits[name] = self.credit_layer(network, objective, trace, name, members, here, keys[name])
        return credits, state
