"""The contrast of a layer's entropy for one of its parents: how uncertain a child would be, had a unit been other."""

from jaxtyping import Array, Float

from hnca._precision import in_full_precision
from hnca.conditionals import Conv, Dense
from hnca.messages.bernoulli_pair import bernoulli_entropy_contrast
from hnca.messages.convolution import convolution_entropy_contrast
from hnca.messages.reevaluation import reevaluated_contrast
from hnca.network import Network, Trace
from hnca.units import Bernoulli, Layer


@in_full_precision
def entropy_contrast(network: Network, trace: Trace, child: str, parent: str) -> Float[Array, "*logits"]:
    """Returns the contrast of the analytic entropy of `child` (summed over its units) for the layer `parent`.

    Source: Young 2022, Section 2 and Appendix G, the entropy components of the ELBO.
    """
    return entropy_contrast_of(network.layers[child], trace.logits[child], network, trace, parent)


@in_full_precision
def entropy_contrast_of(
    layer: Layer, logits: Float[Array, "*layer_logits"], network: Network, trace: Trace, parent: str
) -> Float[Array, "*logits"]:
    """Returns the contrast of the analytic entropy of a layer, of the network or not, for one of its parents.

    Args:
        layer: the layer; its conditional's parents are named in the trace.
        logits: the layer's logits given the trace.
        network: whose layer the parent is.
        trace: the values of the parents.
        parent: the layer whose units are changed.
    """
    above = network.layers[parent]
    if isinstance(layer, Bernoulli) and isinstance(layer.conditional, Dense | Conv) and isinstance(above, Bernoulli):
        state = above.state(trace[parent]).astype(logits.dtype)
        if isinstance(layer.conditional, Conv):
            return convolution_entropy_contrast(layer.conditional, above.span, logits, state)
        return bernoulli_entropy_contrast(layer.conditional.weight(parent), above.span, logits, state)
    return reevaluated_contrast(layer, layer.entropy, network, trace, parent)
