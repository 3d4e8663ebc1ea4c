"""The one way to a component's value and contrast: whatever the component returns, what comes back is as promised."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._precision import at_least_float32, in_full_precision
from hnca.messages import Changes
from hnca.network import Network, Trace
from hnca.objectives._base import Component


def checked_value(component: Component, network: Network, trace: Trace) -> Float[Array, "*batch"]:
    """Returns the component's value, one number an example, in the network's dtype, or float32 for a shorter one.

    Raises:
        ValueError: if the component returns another shape than the trace's batch, or no real numbers.
    """
    return _checked(component, "value", component.value(network, trace), trace.batch_shape, network)


@in_full_precision
def checked_contrast(component: Component, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
    """Returns the component's contrast for a layer, in the shape of the layer's logits; of that dtype.

    Raises:
        ValueError: if the component returns another shape, or no real numbers.
    """
    found = component.contrast(network, trace, layer)
    return _checked(component, f"contrast for {layer!r}", found, trace.logits[layer].shape, network)


def checked_changes(component: Component, network: Network, trace: Trace, layer: str) -> Changes:
    """Returns the component's changes by a layer's units, of that dtype; errors as for `checked_value`."""

    def check(value: Array) -> Array:
        return _checked(component, "value", value, trace.batch_shape, network)

    return component.changes(network, trace, layer).mapped(check)


def _checked(component: Component, what: str, found: Array, shape: tuple[int, ...], network: Network) -> Array:
    number = jnp.asarray(found)
    if number.shape != shape:
        hint = ""
        if what == "value":
            hint = ", one number an example; sum over whatever axes are left, and read an example's data from the trace"
        raise ValueError(f"{component}: {what} has shape {number.shape}; expected {shape}{hint}.")
    if jnp.issubdtype(number.dtype, jnp.complexfloating):
        raise ValueError(f"{component}: {what} is complex, {number.dtype}; expected real numbers.")
    return number.astype(at_least_float32(network.dtype))
