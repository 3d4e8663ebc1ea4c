"""The contrast of what a layer takes on average: how a weighted sum of its probabilities answers to a parent's unit."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._precision import in_full_precision
from hnca.conditionals import Conv, Dense
from hnca.messages.bernoulli_pair import bernoulli_mean_contrast
from hnca.messages.changes import Changes
from hnca.messages.convolution import convolution_mean_contrast
from hnca.messages.reevaluation import reevaluated_contrast, reevaluation
from hnca.network import Network, Trace
from hnca.units import Bernoulli, Layer


@in_full_precision
def mean_contrast(
    network: Network, trace: Trace, child: str, parent: str, slope: Float[Array, "*child_logits"]
) -> Float[Array, "*logits"]:
    """Returns the contrast of `sum slope * P(child | its parents)` for the layer `parent`.

    The sum is over units, of which the probability is that of the upper value, and over the categories of categorical
    ones: the mean of what is linear in what the child takes.

    Args:
        network: the network.
        trace: its pass.
        child: name of the layer whose probabilities change.
        parent: name of the layer whose units are changed.
        slope: what each probability is multiplied with, in the shape of the child's logits; held fixed.
    """
    layer, above, logits = network.layers[child], network.layers[parent], trace.logits[child]
    if isinstance(layer, Bernoulli) and isinstance(layer.conditional, Dense | Conv) and isinstance(above, Bernoulli):
        state = above.state(trace[parent]).astype(logits.dtype)
        if isinstance(layer.conditional, Conv):
            return convolution_mean_contrast(layer.conditional, above.span, logits, slope, state)
        return bernoulli_mean_contrast(layer.conditional.weight(parent), above.span, logits, slope, state)

    return reevaluated_contrast(layer, _mean(layer, slope, trace), network, trace, parent)


def mean_changes(
    network: Network, trace: Trace, child: str, parent: str, slope: Float[Array, "*child_logits"]
) -> Changes:
    """Returns the changes of that sum by the units of the layer `parent`; arguments as for `mean_contrast`."""
    layer = network.layers[child]
    return reevaluation(layer, _mean(layer, slope, trace), network, trace, parent)


def _mean(layer: Layer, slope: Float[Array, "*child_logits"], trace: Trace) -> Callable[[Array], Array]:
    """Returns the function from a layer's logits to what each of its units adds to that sum."""

    def of_unit(logits: Float[Array, "*child_logits"]) -> Float[Array, "*batch units"]:
        terms = slope * layer.posterior(logits, jnp.zeros_like(logits))
        return jnp.sum(terms.reshape(*trace.batch_shape, layer.units, -1), axis=-1)

    return of_unit
