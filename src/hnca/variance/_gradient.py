"""How much the gradient varies from example to example, measured from the credits.

No gradient of one example is formed where the credits say enough (see `_moments`). Layers that share parameters are
each measured on their own, and an embedding's parameters are not counted.
"""

import math
from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._precision import in_32_bits
from hnca.network import Network, Trace
from hnca.units import Conditional
from hnca.variance._moments import moments, sum_of_second_moments


def gradient_variance(
    network: Network, trace: Trace, credits: Mapping[str, Array], passes: int = 1
) -> dict[str, Conditional]:
    """Returns the biased variance over the batch of the per-example gradients, for every parameter.

    Divide by the batch size for the variance of the batch mean, which the DisARM line of work reports.

    Args:
        network: the network.
        trace: its forward pass.
        credits: for every layer of interest the credit on its logits; for all that the gradient has, the sum of
            `Estimate.credits` and `hnca.direct_credits`.
        passes: as `Estimate.passes`: how many passes, stacked along the first axis, an example's gradient is the mean
            of.

    Returns:
        For every layer in `credits` its conditional with the variance in the place of each parameter.
    """
    network, trace, credits = in_32_bits((network, trace, dict(credits)))
    result = {}
    for name, credit in credits.items():
        features, flat = _flat_batch(network, trace, name, credit, passes)
        first, second = moments(network.layers[name].conditional, features, flat)
        result[name] = jax.tree.map(lambda mean, square: square - mean**2, first, second)
    return result


def mean_gradient_variance(
    network: Network, trace: Trace, credits: Mapping[str, Array], gradient: Network, passes: int = 1
) -> Float[Array, ""]:
    """Returns the mean of `gradient_variance` over all parameters of the layers in `credits`.

    For dense layers at the price of a few sums: the sum over the weights of `(x**2)^T (c**2)` factors.

    Args:
        network: the network.
        trace: its forward pass.
        credits: for every layer of interest the credit on its logits, as in `gradient_variance`.
        gradient: the batch-mean gradient which these credits make, as in `Estimate.gradient`.
        passes: as in `gradient_variance`.
    """
    network, trace, credits, gradient = in_32_bits((network, trace, dict(credits), gradient))
    total, count = jnp.zeros((), network.dtype), 0
    for name, credit in credits.items():
        features, flat = _flat_batch(network, trace, name, credit, passes)
        parameters = jax.tree.leaves(eqx.filter(gradient.layers[name].conditional, eqx.is_inexact_array))
        total += sum_of_second_moments(network.layers[name].conditional, features, flat)
        total -= sum(jnp.vdot(leaf, leaf) for leaf in parameters)  # a CPU sums products faster than squares
        count += sum(leaf.size for leaf in parameters)
    return total / count


def _flat_batch(
    network: Network, trace: Trace, name: str, credit: Array, passes: int
) -> tuple[tuple[Array, ...], Float[Array, "passes batch out_features"]]:
    """Returns the parents' features and the credit with all batch axes made one, after the passes."""
    axes = len(trace.batch_shape)
    batch = math.prod(trace.batch_shape) // passes
    conditional = network.layers[name].conditional
    features = tuple(network.features(trace.values, parent) for parent in conditional.parents)
    flat = tuple(
        f.reshape(passes, batch, *(f.shape[axes:] if size is None else (size,)))
        for f, size in zip(features, conditional.parent_sizes, strict=True)
    )
    return flat, credit.reshape(passes, batch, -1)
