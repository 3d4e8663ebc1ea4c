"""The analytic entropy of a layer of the network, given its parents."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._network_arguments import layer_of
from hnca.messages import Changes, entropy_contrast, is_reevaluated, reevaluation
from hnca.network import Network, Trace
from hnca.objectives._base import Component


class Entropy(Component):
    """`H(layer | its parents)` in nats, summed over its units; a function of the layer's parents, not of its values.

    Attributes:
        layer: whose entropy.
        arguments: the layer's parents that are layers.
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
        parents = layer_of("Entropy", network, layer).conditional.parents
        self.layer = layer
        self.arguments = tuple(p for p in parents if p in network.layers)
        self.counterfactual = True
        self.repeatable = True

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        return jnp.sum(network.layers[self.layer].entropy(trace.logits[self.layer]), axis=-1)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        return entropy_contrast(network, trace, self.layer, layer)

    def is_reevaluated(self, network: Network, layer: str) -> bool:
        return is_reevaluated(network.layers[self.layer], network.layers[layer])

    def changes(self, network: Network, trace: Trace, layer: str) -> Changes:
        of = network.layers[self.layer]
        return reevaluation(of, of.entropy, network, trace, layer)

    @property
    def entropy_of(self) -> str:
        return self.layer

    def __str__(self) -> str:
        given = ", ".join(self.arguments)
        return f"H({self.layer} | {given})" if given else f"H({self.layer})"
