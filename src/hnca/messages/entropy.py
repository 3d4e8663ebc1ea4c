"""The contrast of a layer's entropy for one of its parents: how uncertain a child would be, had a unit been other."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.conditionals import Conv, Dense
from hnca.messages.convolution import convolution_entropy_contrast
from hnca.messages.enumeration import enumerated_contrast
from hnca.messages.product import softplus_sum
from hnca.messages.rank_one import begins_with_dense, rank_one_contrast
from hnca.network import Network, Trace
from hnca.units import Bernoulli

_BLOCK = 16


def entropy_contrast(network: Network, trace: Trace, child: str, parent: str) -> Float[Array, "*logits"]:
    """Returns the contrast of the analytic entropy of `child` (summed over its units) for the layer `parent`.

    Source: Young 2022, Section 2 and Appendix G, the entropy components of the ELBO.
    """
    layer, above = network.layers[child], network.layers[parent]
    if isinstance(layer, Bernoulli) and isinstance(layer.conditional, Dense | Conv) and isinstance(above, Bernoulli):
        logits = trace.logits[child]
        state = above.state(trace[parent]).astype(logits.dtype)
        if isinstance(layer.conditional, Conv):
            return convolution_entropy_contrast(layer.conditional, above.span, logits, state)
        return bernoulli_entropy_contrast(layer.conditional.weight(parent), above.span, logits, state)
    contrast = rank_one_contrast if begins_with_dense(layer) else enumerated_contrast
    return contrast(layer, layer.entropy, network, trace, parent)


def bernoulli_entropy_contrast(
    weight: Float[Array, "parents children"],
    span: float,
    child_logits: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns `H(unit at its upper value) - H(at its lower)`, `H = sum over children of softplus(a) - a sigmoid(a)`.

    The softplus part is the kernel's of the messages; the rest is summed over blocks of children, so that nothing of
    size batch * parents * children is held.

    Args:
        weight: from parent values to child logits.
        span: upper less lower value of the parent units.
        child_logits: logits of the children, with all parents as they are.
        parent_state: 1 where a parent unit has its upper value, else 0.
    """
    sign = 1 - 2 * parent_state
    here = jnp.sum(child_logits * jax.nn.sigmoid(child_logits), axis=-1, keepdims=True)
    there = _shifted_mean_energy(span * weight.T, child_logits, sign)
    return sign * (softplus_sum(weight, span, child_logits, parent_state) - (there - here))


def _shifted_mean_energy(
    rise: Float[Array, "children parents"],
    logits: Float[Array, "*batch children"],
    sign: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns `sum_j z sigmoid(z)` with `z = a_j + sign_i rise_ji`: the mean energy after the flip of each unit."""
    children, parents = rise.shape
    block = min(_BLOCK, children)
    missing = -children % block
    # A child that pads has logit and weight 0, and so energy 0.
    rises = jnp.pad(rise, ((0, missing), (0, 0))).reshape(-1, block, parents)
    flat = jnp.pad(logits.reshape(-1, children).T, ((0, missing), (0, 0))).reshape(len(rises), block, -1)
    signs = sign.reshape(-1, parents)

    def add(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
        block_rise, block_logits = part
        for child in range(block):
            shifted = block_logits[child][:, None] + signs * block_rise[child][None]
            total = total + shifted * jax.nn.sigmoid(shifted)
        return total, None

    total, _ = jax.lax.scan(add, jnp.zeros_like(signs), (rises, flat))
    return total.reshape(sign.shape)
