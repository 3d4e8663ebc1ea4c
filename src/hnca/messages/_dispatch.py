"""Chooses the cheapest exact way to a message, by the kind of child, of conditional and of parent."""

from jaxtyping import Array, Float

from hnca.conditionals import Dense
from hnca.messages.enumeration import enumerated_message
from hnca.messages.product import product_message
from hnca.messages.softmax import softmax_message
from hnca.network import Network, Trace
from hnca.units import Bernoulli, Categorical


def message(network: Network, trace: Trace, child: str, parent: str) -> Float[Array, "*logits"]:
    """Returns the message from a child layer to a parent layer, in the shape of the parent's logits.

    For a Bernoulli parent `log P(child | unit at its upper value) - log P(child | at its lower value)`, for a
    categorical one `log P(child | unit = k) - log P(child | unit as it is)` for every category `k`; all other units as
    in the trace.

    Source: Young 2022, Eq 2 and Algorithms 1 and 2.
    """
    layer, above = network.layers[child], network.layers[parent]
    if isinstance(layer.conditional, Dense) and isinstance(above, Bernoulli):
        weight, logits = layer.conditional.weight(parent), trace.logits[child]
        state = above.state(trace[parent]).astype(logits.dtype)
        if isinstance(layer, Bernoulli):
            taken = layer.state(trace[child]).astype(logits.dtype)
            return product_message(weight, above.span, logits, taken, state)
        if isinstance(layer, Categorical):
            weight = weight.reshape(weight.shape[0], layer.units, layer.categories)
            return softmax_message(weight, above.span, logits, trace[child], state)
    return enumerated_message(network, trace, child, parent)
