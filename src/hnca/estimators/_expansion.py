"""The terms of a linear expansion of what is credited: components whose contrasts are known, and cost a sum at most.

A layer's *point* is what it takes in the shape of its logits: 0 or 1 for a Bernoulli unit, one-hot for a categorical.
"""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.estimators._relaxation import relaxation_of
from hnca.messages import Changes, is_reevaluated, mean_changes, mean_contrast
from hnca.network import Network, Trace
from hnca.objectives import Component
from hnca.units import Bernoulli


class LinearTerm(Component):
    """`offset + sum <slope, point>` over some layers.

    Attributes:
        slopes: by layer, each in the shape of its logits; held fixed.
        offset: `[*batch]`.
    """

    slopes: dict[str, Array]
    offset: Float[Array, "*batch"]
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(self, slopes: Mapping[str, Array], offset: Float[Array, "*batch"]):
        """Args: see the attributes."""
        self.slopes, self.offset, self.arguments = dict(slopes), offset, tuple(slopes)
        self.counterfactual = self.repeatable = True

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        points = {name: relaxation_of(self, network.layers[name]).point for name in self.arguments}
        parts = [inner(self.slopes[n], point(trace[n], self.slopes[n]), trace) for n, point in points.items()]
        return sum(parts, self.offset)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        above, slope = network.layers[layer], self.slopes[layer]
        # One number a category is what a categorical unit's contrast is made of; a Bernoulli unit's is the slope.
        return slope if isinstance(above, Bernoulli) else above.contrast(slope, trace[layer])


class MeanTerm(Component):
    """`offset + <slope, mean point of a layer given its parents>`: what a `LinearTerm` of it is before it is drawn.

    Attributes:
        layer: whose mean.
        slope: in the shape of its logits; held fixed.
        offset: `[*batch]`.
    """

    layer: str = eqx.field(static=True)
    slope: Float[Array, "*logits"]
    offset: Float[Array, "*batch"]
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(self, network: Network, layer: str, slope: Float[Array, "*logits"], offset: Float[Array, "*batch"]):
        """Args:
        network: where the layer is.
        layer: see the attributes, as for the others.
        slope: likewise.
        offset: likewise.
        """
        self.layer, self.slope, self.offset = layer, slope, offset
        self.arguments = tuple(p for p in network.layers[layer].conditional.parents if p in network.layers)
        self.counterfactual = self.repeatable = True

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        mean = relaxation_of(self, network.layers[self.layer]).soft(trace.logits[self.layer])
        return self.offset + inner(self.slope, mean, trace)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        return mean_contrast(network, trace, self.layer, layer, self.slope)

    def is_reevaluated(self, network: Network, layer: str) -> bool:
        return is_reevaluated(network.layers[self.layer], network.layers[layer])

    def changes(self, network: Network, trace: Trace, layer: str) -> Changes:
        found = mean_changes(network, trace, self.layer, layer, self.slope)
        return found.mapped(lambda value: self.offset + value)


def inner(slope: Float[Array, "*logits"], point: Float[Array, "*logits"], trace: Trace) -> Float[Array, "*batch"]:
    """Returns the sum of the products over all but the batch axes."""
    product = slope * point
    return jnp.sum(product, axis=tuple(range(len(trace.batch_shape), product.ndim)))
