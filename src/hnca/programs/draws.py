"""Discrete draws in an ordinary JAX function: a primitive of our own, which a program is recognised by.

Under plain execution, `jax.jit` and `jax.vmap` a draw just draws. Under plain `jax.grad` it raises, because the
derivative of a discrete value by its logits is zero wherever it exists, and zero is not the gradient anybody wants.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, Int, Key

from hnca.conditionals import Free
from hnca.units import Bernoulli, Categorical, Layer

draw_p = Primitive("hnca_draw")


def bernoulli(
    key: Key[Array, ""],
    logits: Float[Array, "*shape"],
    *,
    values: Sequence[int | float] = (0, 1),
    name: str | None = None,
) -> Float[Array, "*shape"]:
    """Draws independent two-valued units, `P(upper value) = sigmoid(logit)`; of any shape, a scalar too.

    Args:
        key: a typed key (or the raw one of `jax.random.PRNGKey`), used for this draw alone.
        logits: `[*shape]`, of a float dtype.
        values: the lower and the upper value.
        name: what `hnca.explain` calls the draw; by default its kind and number.

    Returns:
        The values, `[*shape]`, in the logits' dtype.

    Raises:
        ValueError: for logits that are no floats, a key that is none or more than one, or `values` that are not two
            finite numbers in ascending order; under plain `jax.grad`.
    """
    with jax.ensure_compile_time_eval():
        checked = Bernoulli(Free(1), values).values
    return _draw("bernoulli", key, logits, checked, name)


def categorical(
    key: Key[Array, ""], logits: Float[Array, "*shape categories"], *, name: str | None = None
) -> Int[Array, "*shape"]:
    """Draws independent units of several categories, `P(k) = softmax(logits)_k`; a scalar draw from `[categories]`.

    Args:
        key: a typed key (or the raw one of `jax.random.PRNGKey`), used for this draw alone.
        logits: `[*shape, categories]`, of a float dtype; minus infinity for a category that cannot be.
        name: what `hnca.explain` calls the draw; by default its kind and number.

    Returns:
        The categories, `[*shape]`, int32.

    Raises:
        ValueError: for logits that are no floats or have no axis of at least two categories, or a key that is none or
            more than one; under plain `jax.grad`.
    """
    shape = jnp.shape(logits)
    if not shape or shape[-1] < 2:
        raise ValueError(
            f"categorical: logits of shape {shape}; expected a last axis of at least two categories "
            "(for two-valued units there is hnca.bernoulli)."
        )
    return _draw("categorical", key, logits, None, name)


def family_of(values: tuple[float, ...] | None, categories: int) -> Layer:
    """Returns a layer of the family that a draw's `values` parameter stands for (its conditional means nothing)."""
    return Categorical(Free(categories)) if values is None else Bernoulli(Free(1), values)


def _draw(owner: str, key: Array, logits: Array, values: tuple[float, ...] | None, name: str | None) -> Array:
    logits = jnp.asarray(logits)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"{owner}: logits of dtype {logits.dtype}; expected floats.")
    key = jnp.asarray(key)
    if key.dtype == jnp.uint32 and key.ndim:
        key = jax.random.wrap_key_data(key)
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.ndim:
        raise ValueError(
            f"{owner}: key of dtype {key.dtype} and shape {key.shape}; expected one key, such as jax.random.key(0)."
        )
    return draw_p.bind(key, logits, values=values, name=name, shared=False)


def draw_values(key: Array, logits: Array, values: tuple[float, ...] | None) -> Array:
    """Draws; a key may have leading axes, one key for every index of the logits' first axes."""
    sample = family_of(values, logits.shape[-1] if values is None else 2).sample
    for _ in range(key.ndim):
        sample = jax.vmap(sample)
    return sample(key, logits)


@draw_p.def_impl
def _impl(key, logits, *, values, name, shared):
    return draw_values(key, logits, values)


@draw_p.def_abstract_eval
def _abstract(key, logits, *, values, name, shared):
    shape, dtype = (logits.shape[:-1], jnp.int32) if values is None else (logits.shape, logits.dtype)
    return jax.core.ShapedArray(shape, jnp.dtype(dtype))


mlir.register_lowering(
    draw_p,
    mlir.lower_fun(
        lambda key, logits, *, values, name, shared: draw_values(key, logits, values), multiple_results=False
    ),
)


def _batched(arguments, axes, *, values, name, shared):
    (key, logits), (key_axis, logits_axis) = arguments, axes
    size = key.shape[key_axis] if key_axis is not None else logits.shape[logits_axis]
    shared = shared or (key_axis is None and math.prod(logits.shape) > 0)

    def in_front(array, axis):
        if axis is None:
            return jnp.broadcast_to(array, (size, *array.shape))
        return jnp.moveaxis(array, axis, 0)

    key, logits = in_front(key, key_axis), in_front(logits, logits_axis)
    return draw_p.bind(key, logits, values=values, name=name, shared=shared), 0


batching.primitive_batchers[draw_p] = _batched


def _jvp(primals, tangents, *, values, name, shared):
    if not isinstance(tangents[1], ad.Zero):
        kind = "categorical" if values is None else "bernoulli"
        raise ValueError(
            f"hnca.{kind}: the function is differentiated through a discrete draw, whose derivative is zero wherever "
            "there is one. Use hnca.value_and_grad or hnca.grad instead of JAX's, or hnca.credited under a framework's "
            "own; or stop the gradient of the logits with jax.lax.stop_gradient."
        )
    values_drawn = draw_p.bind(*primals, values=values, name=name, shared=shared)
    return values_drawn, ad.Zero.from_primal_value(values_drawn)


ad.primitive_jvps[draw_p] = _jvp
