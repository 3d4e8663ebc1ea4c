"""What of a layer has no closed form in a parent's units, and how it is evaluated anew instead."""

from jaxtyping import Array, Float

from hnca.conditionals import Conv, Dense
from hnca.messages.by_unit import contrast_by_unit
from hnca.messages.changes import Changes, contrast_of_all
from hnca.messages.enumeration import Quantity, enumerated_changes
from hnca.messages.rank_one import begins_with_dense, rank_one_changes
from hnca.network import Network, Trace
from hnca.units import Bernoulli, Layer


def is_reevaluated(layer: Layer, above: Layer) -> bool:
    """Returns whether log-probability and entropy of a layer take an evaluation of a deterministic network a change.

    Not where the layers are joined by `Dense`, unit by unit or, with Bernoulli units on both sides, by `Conv`.

    Args:
        layer: of the network or not.
        above: the parent whose units are changed.
    """
    if isinstance(layer.conditional, Conv):
        return not (isinstance(layer, Bernoulli) and isinstance(above, Bernoulli))
    return not isinstance(layer.conditional, Dense) and not layer.conditional.reads_one_unit


def reevaluated_contrast(
    layer: Layer, quantity: Quantity, network: Network, trace: Trace, parent: str
) -> Float[Array, "*logits"]:
    """Returns the contrast of a sum over a layer's units of a function of their logits, by all its changes.

    Args:
        layer: the layer, of the network or not.
        quantity: from the layer's logits to one number a unit, such as a log-probability or an entropy.
        network: whose layer the parent is.
        trace: the values of the layer's parents.
        parent: the layer whose units are changed.
    """
    if layer.conditional.reads_one_unit:
        return contrast_by_unit(layer, quantity, network, trace, parent)
    return contrast_of_all(reevaluation(layer, quantity, network, trace, parent), network, trace, parent)


def reevaluation(layer: Layer, quantity: Quantity, network: Network, trace: Trace, parent: str) -> Changes:
    """Returns the changes of that sum, in the cheapest way; arguments as for `reevaluated_contrast`."""
    ways = rank_one_changes if begins_with_dense(layer) else enumerated_changes
    return ways(layer, quantity, network, trace, parent)
