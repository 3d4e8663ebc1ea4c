"""The entropy of a layer by its sample: minus the log-probability of the values it took."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._network_arguments import layer_of
from hnca.messages import Changes, is_reevaluated, message, message_changes
from hnca.network import Network, Trace
from hnca.objectives._base import Component
from hnca.objectives._scored import contrast_of_scored


class SampledEntropy(Component):
    """`-log q(layer | its parents)` in nats, summed over its units, whose mean over samples is the entropy.

    Its counterfactuals cost nothing beside HNCA's: for a parent it is minus the message, for the layer itself minus the
    logit. In return it varies more than the analytic `Entropy`.

    Attributes:
        layer: whose entropy.
        arguments: the layer, and those of its parents that are layers.
    """

    layer: str = eqx.field(static=True)
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(self, network: Network, layer: str):
        """Args:
            network: where the layer is.
            layer: its name.

        Raises:
            ValueError: if the network is none, or has no such layer.
        """
        parents = layer_of("SampledEntropy", network, layer).conditional.parents
        self.layer = layer
        self.arguments = (layer, *(p for p in parents if p in network.layers))
        self.counterfactual = True
        self.repeatable = True

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        return -jnp.sum(network.layers[self.layer].log_prob(trace.logits[self.layer], trace[self.layer]), axis=-1)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        if layer != self.layer:
            return -message(network, trace, self.layer, layer)
        above = network.layers[layer]
        return -contrast_of_scored(above, trace.logits[layer], above, trace[layer])

    def is_reevaluated(self, network: Network, layer: str) -> bool:
        return layer != self.layer and is_reevaluated(network.layers[self.layer], network.layers[layer])

    def changes(self, network: Network, trace: Trace, layer: str) -> Changes:
        return message_changes(network, trace, self.layer, layer).mapped(jnp.negative)

    def __str__(self) -> str:
        given = ", ".join(self.arguments[1:])
        return f"-log q({self.layer} | {given})" if given else f"-log q({self.layer})"
