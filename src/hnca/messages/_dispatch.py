"""Chooses the cheapest exact way to a message, by the kind of child, of conditional and of parent."""

from typing import cast

import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._network_arguments import layer_of, require_pass
from hnca._precision import in_full_precision
from hnca.conditionals import Conv, Dense
from hnca.messages.bernoulli_pair import bernoulli_message
from hnca.messages.categorical_pair import categorical_pair_message
from hnca.messages.categorical_parent import categorical_parent_message
from hnca.messages.changes import Changes
from hnca.messages.convolution import convolution_message
from hnca.messages.reevaluation import reevaluated_contrast, reevaluation
from hnca.messages.softmax import softmax_message
from hnca.network import Network, Trace
from hnca.units import Bernoulli, Categorical, Layer


@in_full_precision
def message(network: Network, trace: Trace, child: str, parent: str) -> Float[Array, "*logits"]:
    """Returns the message from a child layer to a parent layer, in the shape of the parent's logits.

    For a Bernoulli parent `log P(child | unit at its upper value) - log P(child | at its lower value)`, for a
    categorical one `log P(child | unit = k) - log P(child | unit as it is)` for every category `k`; all other units as
    in the trace.

    Args:
        network: the network.
        trace: its pass.
        child: name of the layer that sends the message.
        parent: name of the layer that it is for.

    Raises:
        ValueError: for what is no network, no pass, or no name of a layer.

    Source: Young 2022, Eq 2 and Algorithms 1 and 2.
    """
    require_pass("message", network, trace)
    layer = layer_of("message", network, child, "child")
    layer_of("message", network, parent, "parent")
    return likelihood_contrast(layer, trace.logits[child], trace[child], network, trace, parent)


@in_full_precision
def message_beside_entropy(network: Network, trace: Trace, child: str, parent: str) -> Float[Array, "*logits"]:
    """Returns the message where the contrast of the child's entropy for this parent is asked for too.

    It is the same but that what the two have in common is computed once.
    """
    layer, logits, taken = network.layers[child], trace.logits[child], trace[child]
    return _contrast(layer, logits, taken, network, trace, parent, beside_entropy=True)


@in_full_precision
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
    return _contrast(layer, logits, taken, network, trace, parent, beside_entropy=False)


def _contrast(
    layer: Layer,
    logits: Float[Array, "*layer_logits"],
    taken: Array,
    network: Network,
    trace: Trace,
    parent: str,
    *,
    beside_entropy: bool,
) -> Float[Array, "*logits"]:
    if logits.size == 0:
        return jnp.zeros_like(trace.logits[parent])  # of an empty batch, which cannot be divided into blocks
    above = network.layers[parent]
    if isinstance(layer.conditional, Conv) and isinstance(layer, Bernoulli) and isinstance(above, Bernoulli):
        child_state, state = (a.astype(logits.dtype) for a in (layer.state(taken), above.state(trace[parent])))
        return convolution_message(layer.conditional, above.span, logits, child_state, state)
    known = isinstance(layer, Bernoulli | Categorical) and isinstance(above, Bernoulli | Categorical)
    if not (known and isinstance(layer.conditional, Dense)):
        return reevaluated_contrast(layer, lambda other: layer.log_prob(other, taken), network, trace, parent)
    return _dense_contrast(layer, layer.conditional.weight(parent), logits, taken, above, trace[parent], beside_entropy)


def message_changes(network: Network, trace: Trace, child: str, parent: str) -> Changes:
    """Returns the changes of a child's log-probability by a parent's units; arguments as for `message`."""
    return likelihood_changes(network.layers[child], trace[child], network, trace, parent)


def likelihood_changes(layer: Layer, taken: Array, network: Network, trace: Trace, parent: str) -> Changes:
    """Returns the changes of the log-probability that a layer gives to some values; as for `likelihood_contrast`."""
    return reevaluation(layer, lambda other: layer.log_prob(other, taken), network, trace, parent)


def _dense_contrast(
    layer: Layer,
    weight: Float[Array, "features children"],
    logits: Array,
    taken: Array,
    above: Layer,
    values: Array,
    beside_entropy: bool,
) -> Float[Array, "*logits"]:
    """Chooses by the families of the child `layer` and of the parent `above`."""
    if isinstance(layer, Bernoulli):
        child_state = layer.state(taken).astype(logits.dtype)
        if isinstance(above, Bernoulli):
            state = above.state(values).astype(logits.dtype)
            return bernoulli_message(weight, above.span, logits, child_state, state, beside_entropy)
        return categorical_parent_message(_by_category(above, weight), logits, child_state, values)
    by_category = weight.reshape(weight.shape[0], layer.units, layer.alternatives)
    if isinstance(above, Bernoulli):
        state = above.state(values).astype(logits.dtype)
        return softmax_message(by_category, above.span, logits, taken, state)
    by_pair = _by_category(above, weight)
    return categorical_pair_message(by_pair.reshape(*by_pair.shape[:2], layer.units, -1), logits, taken, values)


def _by_category(above: Layer, weight: Float[Array, "features children"]) -> Float[Array, "units categories children"]:
    return cast(Categorical, above).weight_by_category(weight)
