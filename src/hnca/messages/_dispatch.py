"""Chooses the cheapest exact way to a message, by the kind of child, of conditional and of parent."""

from jaxtyping import Array, Float

from hnca.conditionals import Dense
from hnca.messages.enumeration import enumerated_contrast
from hnca.messages.product import product_message
from hnca.messages.softmax import softmax_message
from hnca.network import Network, Trace
from hnca.units import Bernoulli, Categorical, Layer


def message(network: Network, trace: Trace, child: str, parent: str) -> Float[Array, "*logits"]:
    """Returns the message from a child layer to a parent layer, in the shape of the parent's logits.

    For a Bernoulli parent `log P(child | unit at its upper value) - log P(child | at its lower value)`, for a
    categorical one `log P(child | unit = k) - log P(child | unit as it is)` for every category `k`; all other units as
    in the trace.

    Source: Young 2022, Eq 2 and Algorithms 1 and 2.
    """
    return likelihood_contrast(network.layers[child], trace.logits[child], trace[child], network, trace, parent)


def likelihood_contrast(
    layer: Layer,
    logits: Float[Array, "*layer_logits"],
    taken: Array,
    network: Network,
    trace: Trace,
    parent: str,
) -> Float[Array, "*logits"]:
    """Returns the contrast of the log-probability that a layer gives to some values, for one of its parents.

    Args:
        layer: of the network or not (a decoder's, say); its conditional's parents are named in the trace.
        logits: the layer's logits given the trace.
        taken: the values it gives a probability to, `[*batch, units]`.
        network: whose layer the parent is.
        trace: the values of the parents.
        parent: the layer whose units are changed.
    """
    above = network.layers[parent]
    if isinstance(layer.conditional, Dense) and isinstance(above, Bernoulli):
        weight = layer.conditional.weight(parent)
        state = above.state(trace[parent]).astype(logits.dtype)
        if isinstance(layer, Bernoulli):
            return product_message(weight, above.span, logits, layer.state(taken).astype(logits.dtype), state)
        if isinstance(layer, Categorical):
            weight = weight.reshape(weight.shape[0], layer.units, layer.categories)
            return softmax_message(weight, above.span, logits, taken, state)
    return enumerated_contrast(layer, lambda other: layer.log_prob(other, taken), network, trace, parent)
