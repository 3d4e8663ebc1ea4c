r"""Messages, entropies' and means' contrasts of Bernoulli children that are a convolution of a Bernoulli parent's map.

A unit at position `y` of channel `i` is read by the children at those positions `y'` from which a kernel offset `k`
leads to it: `y = stride y' + dilation k - padding`. For every offset the children's map is laid over the parent's grid,
so that all there is to do is what a dense layer does, for every position on its own: the cost is that of the
convolution times a constant, and what is held has the size of the parent's map.
"""

from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.conditionals import Conv
from hnca.messages.fallback import fast_unless, safe_exponent
from hnca.units.bernoulli import bernoulli_entropy

_BLOCK = 16


@partial(jax.jit, static_argnames="span", inline=True)
def convolution_message(
    conv: Conv,
    span: float,
    child_logits: Float[Array, "*batch children"],
    child_state: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns `log P(children | unit at its upper value) - log P(children | at its lower)` for every parent unit.

    Args:
        conv: from the parent's values to the child logits.
        span: upper less lower value of the parent units.
        child_logits: logits of the children, with all parents as they are.
        child_state: 1 where a child has its upper value, else 0.
        parent_state: 1 where a parent unit has its upper value, else 0.

    Source: Young 2022, Eq 2; the product form of `hnca.messages.product`.
    """
    logits, state = (a.reshape(-1, *conv.out_shape) for a in (child_logits, child_state))
    sign = 1 - 2 * parent_state.reshape(-1, *conv.in_shape)
    positive = (logits > 0).astype(logits.dtype)
    linear = span * _transposed(conv, state - positive)
    sums = _log_product(conv, span, logits, jax.lax.stop_gradient(sign))
    return (linear - sign * sums).reshape(parent_state.shape)


@partial(jax.jit, static_argnames="span", inline=True)
def convolution_entropy_contrast(
    conv: Conv,
    span: float,
    child_logits: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns `H(unit at its upper value) - H(at its lower)`, `H` the entropy of the children.

    Arguments as for `convolution_message`.
    """
    if child_logits.size == 0:
        return jnp.zeros_like(parent_state)
    sign = 1 - 2 * parent_state.reshape(-1, *conv.in_shape)
    maps = child_logits.reshape(-1, *conv.out_shape)

    def growth(logit: Array, shift: Array) -> Array:
        return bernoulli_entropy(logit + shift) - bernoulli_entropy(logit)

    return (sign * _sum_over_children(growth, conv, span, maps, sign)).reshape(parent_state.shape)


@partial(jax.jit, static_argnames="span", inline=True)
def convolution_mean_contrast(
    conv: Conv,
    span: float,
    child_logits: Float[Array, "*batch children"],
    slope: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns `m(unit at its upper value) - m(at its lower)`, `m = sum over children of slope sigmoid(a)`.

    Arguments as for `convolution_message`, and `slope`, what each child's probability is multiplied with.
    """
    if child_logits.size == 0:
        return jnp.zeros_like(parent_state)
    sign = 1 - 2 * parent_state.reshape(-1, *conv.in_shape)
    logits, slopes = (a.reshape(-1, *conv.out_shape) for a in (child_logits, slope))

    def growth(logit: Array, shift: Array, slope: Array) -> Array:
        return slope * (jax.nn.sigmoid(logit + shift) - jax.nn.sigmoid(logit))

    return (sign * _sum_over_children(growth, conv, span, logits, sign, slopes)).reshape(parent_state.shape)


def _transposed(conv: Conv, maps: Float[Array, "batch height width out"]) -> Array:
    """Returns what each parent unit's weights sum up to over these child maps."""
    zeros = jnp.zeros((len(maps), *conv.in_shape), maps.dtype)
    return jax.vjp(conv.convolve, zeros)[1](maps)[0]


def _log_product(conv: Conv, span: float, logits: Array, sign: Array) -> Array:
    """Returns `sum over children of log(1 + sigmoid(-|a|) (e^(+-delta) - 1))`, `+` where `a <= 0`."""

    def products(weight: Array, logits: Array, sign: Array) -> Array:
        return _products(weight, conv, logits, sign)

    def growth(logit: Array, shift: Array) -> Array:
        below = -jnp.abs(logit)
        return jax.nn.softplus(below + jnp.where(logit > 0, -shift, shift)) - jax.nn.softplus(below)

    def direct(weight: Array, logits: Array, sign: Array) -> Array:
        scaled = _with_weight(conv, weight)
        return _sum_over_children(growth, scaled, 1.0, logits, sign)

    rise = span * conv.weight
    largest = jnp.max(jnp.abs(rise), axis=(0, 1, 2))
    most = jnp.sum(jax.lax.top_k(largest, min(_BLOCK, len(largest)))[0])
    return fast_unless(~(most <= safe_exponent(rise.dtype)), products, direct, rise, logits, sign)


def _products(weight: Array, conv: Conv, logits: Array, sign: Array) -> Array:
    probability = jax.nn.sigmoid(-jnp.abs(logits))
    positive = jnp.where(logits > 0, -1.0, 1.0).astype(logits.dtype)
    total = jnp.zeros_like(sign)
    for offset, aligned in _aligned(conv, (probability, positive)):
        rise = weight[offset]

        def add(total: Array, block: tuple[Array, Array, Array]) -> tuple[Array, None]:
            product = jnp.ones_like(total)
            for chance, direction, weights in zip(*block, strict=True):
                grows = direction[..., None] * sign > 0
                change = jnp.where(grows, jnp.exp(weights) - 1, jnp.exp(-weights) - 1)
                product += product * (chance[..., None] * change)
            return total + jnp.log(product), None

        total, _ = jax.lax.scan(add, total, _in_blocks(aligned[0], aligned[1], rise))
    return total


def _in_blocks(chance: Array, direction: Array, rise: Array) -> tuple[Array, Array, Array]:
    """Splits the children's channels into blocks; those that pad have probability 0, and so factors of 1."""
    channels = rise.shape[-1]
    block = min(_BLOCK, channels)
    missing = -channels % block
    by_channel = (jnp.moveaxis(array, -1, 0) for array in (chance, direction, rise[None, None, None]))
    padded = (jnp.pad(a, ((0, missing), *(((0, 0),) * (a.ndim - 1)))) for a in by_channel)
    first, second, third = (a.reshape(-1, block, *a.shape[1:]) for a in padded)
    return first, second, third


def _sum_over_children(
    growth: Callable[..., Array], conv: Conv, span: float, logits: Array, sign: Array, *more: Array
) -> Array:
    """Returns, for every parent unit, the sum over its children of `growth(logit, shift of the unit's flip, *more)`."""
    total = jnp.zeros_like(sign)
    there = jnp.ones_like(logits)
    for offset, (aligned, exists, *others) in _aligned(conv, (logits, there, *more)):

        def add(total: Array, child: tuple[Array, ...]) -> tuple[Array, None]:
            logit, present, weights, *more = child
            change = growth(logit[..., None], sign * weights, *(each[..., None] for each in more))
            return total + present[..., None] * change, None

        weights = (span * conv.weight[offset])[None, None, None]
        by_channel = jax.tree.map(lambda a: jnp.moveaxis(a, -1, 0), (aligned, exists, weights, *others))
        total, _ = jax.lax.scan(add, total, by_channel)
    return total


def _aligned(conv: Conv, maps: tuple[Array, ...]) -> Iterator[tuple[tuple[int, int], tuple[Array, ...]]]:
    """Yields every kernel offset with the child maps laid over the parent's grid, 0 where there is no child."""
    for vertical in range(conv.weight.shape[0]):
        for horizontal in range(conv.weight.shape[1]):
            config = [(0, 0, 0), _padding(conv, 0, vertical), _padding(conv, 1, horizontal), (0, 0, 0)]
            yield (vertical, horizontal), tuple(jax.lax.pad(m, jnp.zeros((), m.dtype), config) for m in maps)


def _padding(conv: Conv, axis: int, offset: int) -> tuple[int, int, int]:
    """Returns what has to be put before, after and between the children along one axis of the parent's grid."""
    stride = conv.stride[axis]
    before = offset * conv.dilation[axis] - conv.padding[axis][0]
    extent = (conv.out_shape[axis] - 1) * stride + 1
    return before, conv.in_shape[axis] - before - extent, stride - 1


def _with_weight(conv: Conv, weight: Array) -> Conv:
    return jax.tree.unflatten(jax.tree.structure(conv), [weight, conv.bias])
