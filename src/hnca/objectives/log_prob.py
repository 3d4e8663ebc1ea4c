"""The log-probability that a layer outside the network gives to values in the trace: a decoder's term."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._names import checked_name, checked_names
from hnca.messages import Changes, is_reevaluated, likelihood_changes, likelihood_contrast
from hnca.network import Network, Trace
from hnca.objectives._base import Component
from hnca.objectives._observed import check_scored, observed
from hnca.objectives._scored import contrast_of_scored
from hnca.units import Categorical, Layer


class LogProb(Component):
    r"""`log p(value | parents)`, summed over the units of the layer that gives the probability.

    Example:
        ```python
        decoder = hnca.Bernoulli(hnca.Dense("code", 200, 784, key=key))
        hnca.LogProb(decoder, value="image", inputs=("image",))
        ```

    An input that is scored may have any shape, of as many numbers as the layer has units: a label of a Categorical has
    the shape `()`. What the layer's family cannot take (a label out of range, pixels to 255) is a ValueError where
    values are known, and NaN, gradients too, under `jax.jit`.

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

    def __init__(self, layer: Layer, value: str, *, inputs: str | Sequence[str] = ()):
        """Args:
            layer: whose conditional names its parents.
            value: the layer or input that is scored.
            inputs: which of the names are inputs of the network and no layers.

        Raises:
            ValueError: for what is no layer or no name; if the layer scores one of its own parents, or has an
                embedding: what reads a scored value sees it as the network's own layer shows it, so that the embedding
                would never be used or learned.
        """
        if not isinstance(layer, Layer):
            raise ValueError(f"LogProb: layer={layer!r}; expected a layer, such as hnca.Bernoulli(conditional).")
        checked_name("LogProb", "value", value)
        inputs = checked_names("LogProb", "inputs", inputs)
        if isinstance(layer, Categorical) and layer.embedding is not None:
            raise ValueError(
                f"LogProb: the layer that scores {value!r} has an embedding, which nothing would read; expected none "
                "(the weight of a Dense that reads the one-hot value is an embedding)."
            )
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
        return network.logits_of(self.layer, trace.values, trace.batch_shape, str(self))

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        values, factor = self._scored(network, trace)
        logits = self.logits(network, trace)
        if factor is None:
            return jnp.sum(self.layer.log_prob(logits, values), axis=-1)
        # Both are made NaN: the score of a label out of range, which picks no logit, and by the logits its gradient.
        return factor * jnp.sum(self.layer.log_prob(_by_example(logits, factor), values), axis=-1)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        logits = self.logits(network, trace)
        if layer == self.value_name:
            return contrast_of_scored(self.layer, logits, network.layers[layer], trace[layer])
        values, factor = self._scored(network, trace)
        found = likelihood_contrast(self.layer, logits, values, network, trace, layer)
        return found if factor is None else _by_example(found, factor)

    def is_reevaluated(self, network: Network, layer: str) -> bool:
        return layer != self.value_name and is_reevaluated(self.layer, network.layers[layer])

    def changes(self, network: Network, trace: Trace, layer: str) -> Changes:
        values, factor = self._scored(network, trace)
        found = likelihood_changes(self.layer, values, network, trace, layer)
        return found if factor is None else found.mapped(lambda value: factor * value)

    def _scored(self, network: Network, trace: Trace) -> tuple[Array, Float[Array, "*batch"] | None]:
        """Returns the scored values, and for an input a factor: 1, but NaN for an example that cannot be scored."""
        check_scored(str(self), self.layer, network, self.value_name)
        if self.value_name in network.layers:
            return trace[self.value_name], None
        seen, dtype = trace[self.value_name], network.dtype
        values, possible = observed(str(self), self.layer, seen, trace.batch_shape, dtype)
        return values, jnp.where(jnp.all(possible, axis=-1), 1.0, jnp.nan).astype(network.dtype)

    def __str__(self) -> str:
        given = ", ".join(self.layer.conditional.parents)
        return f"log p({self.value_name} | {given})" if given else f"log p({self.value_name})"


def _by_example(array: Float[Array, "*batch_and_more"], factor: Float[Array, "*batch"]) -> Array:
    return array * factor.reshape(factor.shape + (1,) * (array.ndim - factor.ndim))
