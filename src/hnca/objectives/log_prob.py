"""The log-probability that a layer outside the network gives to values in the trace: a decoder's term."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.messages import likelihood_contrast
from hnca.network import Network, Trace
from hnca.objectives._base import Component
from hnca.objectives._scored import contrast_of_scored
from hnca.units import Layer


class LogProb(Component):
    r"""`log p(value | parents)`, summed over the units of the layer that gives the probability.

    Example:
        ```python
        decoder = hnca.Bernoulli(hnca.Dense("code", 200, 784, key=key))
        hnca.LogProb(decoder, value="image", inputs=("image",))
        ```

    For a unit of a parent the contrast is the message of the decoder layer; for a unit that is scored it is the
    decoder's logit itself.

    Attributes:
        layer: gives the probability; its parameters are part of the objective.
        value_name: the layer or input that is scored.
        arguments: `value_name` and the layer's parents, less those that are inputs.
    """

    layer: Layer
    value_name: str = eqx.field(static=True)
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(self, layer: Layer, value: str, *, inputs: tuple[str, ...] = ()):
        """Args:
            layer: whose conditional names its parents.
            value: the layer or input that is scored.
            inputs: which of the names are inputs of the network and no layers.

        Raises:
            ValueError: if the layer scores one of its own parents.
        """
        if value in layer.conditional.parents:
            raise ValueError(f"LogProb: value={value!r} is a parent of the layer that scores it.")
        names = (value, *layer.conditional.parents)
        self.layer = layer
        self.value_name = value
        self.arguments = tuple(name for name in names if name not in inputs)
        self.counterfactual = True
        self.repeatable = True

    def logits(self, network: Network, trace: Trace) -> Float[Array, "*logits"]:
        """Returns the layer's logits given the trace."""
        features = tuple(network.features(trace.values, name) for name in self.layer.conditional.parents)
        return self.layer.logits(features, trace.batch_shape)

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        return jnp.sum(self.layer.log_prob(self.logits(network, trace), trace[self.value_name]), axis=-1)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        logits = self.logits(network, trace)
        if layer != self.value_name:
            return likelihood_contrast(self.layer, logits, trace[self.value_name], network, trace, layer)
        return contrast_of_scored(self.layer, logits, network.layers[layer], trace[layer])

    def __str__(self) -> str:
        given = ", ".join(self.layer.conditional.parents)
        return f"log p({self.value_name} | {given})" if given else f"log p({self.value_name})"
