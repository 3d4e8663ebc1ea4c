"""Bernoulli children through a dense weight to Bernoulli parents: by the compiled kernel, or else in pure JAX."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.messages import compiled
from hnca.messages.energy import shifted_mean, shifted_mean_energy
from hnca.messages.fallback import fast_unless
from hnca.messages.product import product_message, softplus_sum


def bernoulli_message(
    weight: Float[Array, "parents children"],
    span: float,
    child_logits: Float[Array, "*batch children"],
    child_state: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
    beside_entropy: bool = False,
) -> Float[Array, "*batch parents"]:
    """Returns `log P(children | unit at its upper value) - log P(children | at its lower)` for every parent unit.

    Args:
        weight: from parent values to child logits.
        span: upper less lower value of the parent units.
        child_logits: logits of the children, with all parents as they are.
        child_state: 1 where a child has its upper value, else 0.
        parent_state: the same of the parents.
        beside_entropy: whether `bernoulli_entropy_contrast` is called of the same layers: the kernel then returns what
            both need in one call, which XLA finds to be one.

    Source: Young 2022, Eq 2 and Algorithm 2.
    """
    if not compiled.is_used(weight.dtype):
        return product_message(weight, span, child_logits, child_state, parent_state)
    if not beside_entropy:
        return compiled.message(span * weight, child_logits, child_state, parent_state)
    growth, _ = compiled.growth_and_energy(span * weight, child_logits, parent_state)
    return span * (child_state @ weight.T) - (1 - 2 * parent_state) * growth


def bernoulli_entropy_contrast(
    weight: Float[Array, "parents children"],
    span: float,
    child_logits: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns `H(unit at its upper value) - H(at its lower)`, `H = sum over children of softplus(a) - a sigmoid(a)`.

    The softplus part is that of the layer's message, which XLA finds to be the same and computes once.

    Args:
        weight: from parent values to child logits.
        span: upper less lower value of the parent units.
        child_logits: logits of the children, with all parents as they are.
        parent_state: 1 where a parent unit has its upper value, else 0.
    """
    if child_logits.size == 0:
        return jnp.zeros_like(parent_state)
    return _entropy_contrast(weight, span, child_logits, parent_state, compiled.is_used(weight.dtype))


@partial(jax.jit, static_argnames=("span", "by_kernel"), inline=True)
def _entropy_contrast(weight: Array, span: float, child_logits: Array, parent_state: Array, by_kernel: bool) -> Array:
    def contrast(weight: Array, logits: Array, state: Array) -> Array:
        here = jnp.sum(logits * jax.nn.sigmoid(logits), axis=-1, keepdims=True)
        if by_kernel:
            growth, there = compiled.growth_and_energy(span * weight, logits, state)
        else:
            growth = softplus_sum(weight, span, logits, state)
            there = shifted_mean_energy(span * weight, logits, state)
        return (1 - 2 * state) * (growth - (there - here))

    def of_certain(weight: Array, logits: Array, state: Array) -> Array:
        """A child of an infinite logit is certain whatever its parents do, which one far below 0 is without NaN."""
        far = max(-1e15, float(jnp.finfo(logits.dtype).min) / 2)
        return contrast(weight, jnp.where(jnp.isinf(logits), far, logits), state)

    state = jax.lax.stop_gradient(parent_state)
    # Logits that are finite are left as they are, so that the call is the message's own.
    return fast_unless(jnp.any(jnp.isinf(child_logits)), contrast, of_certain, weight, child_logits, state)


def bernoulli_mean_contrast(
    weight: Float[Array, "parents children"],
    span: float,
    child_logits: Float[Array, "*batch children"],
    slope: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns `m(unit at its upper value) - m(at its lower)`, `m = sum over children of slope sigmoid(a)`.

    Args:
        weight: from parent values to child logits.
        span: upper less lower value of the parent units.
        child_logits: logits of the children, with all parents as they are.
        slope: what each child's probability is multiplied with.
        parent_state: 1 where a parent unit has its upper value, else 0.
    """
    if child_logits.size == 0:
        return jnp.zeros_like(parent_state)
    state = jax.lax.stop_gradient(parent_state)
    shifted = compiled.mean if compiled.is_used(weight.dtype) else shifted_mean
    here = jnp.sum(slope * jax.nn.sigmoid(child_logits), axis=-1, keepdims=True)
    return (1 - 2 * state) * (shifted(span * weight, child_logits, slope, state) - here)
