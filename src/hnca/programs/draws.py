"""Discrete draws in an ordinary JAX function: a primitive of our own, which a program is recognised by.

Under plain execution, `jax.jit` and `jax.vmap` a draw just draws. Under plain `jax.grad` it raises, because the
derivative of a discrete value by its logits is zero wherever it exists, and zero is not the gradient anybody wants.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, Int, Key, Num, UInt32

from hnca._options import as_array
from hnca.conditionals import Free
from hnca.units import Bernoulli, Categorical, Layer

draw_p = Primitive("hnca_draw")


def bernoulli(
    key: Key[Array, ""] | UInt32[Array, " words"] | None,
    logits: Float[Array, "*shape"],
    *,
    values: Sequence[int | float] = (0, 1),
    name: str | None = None,
    given: Num[Array, "*shape"] | None = None,
) -> Float[Array, "*shape"]:
    """Draws independent two-valued units, `P(upper value) = sigmoid(logit)`; of any shape, a scalar too.

    Examples:
        Certain logits, so that what is drawn is known:

        >>> logits = jnp.array([-100.0, 100.0])
        >>> hnca.bernoulli(jax.random.key(0), logits)
        Array([0., 1.], dtype=float32)
        >>> hnca.bernoulli(jax.random.key(0), logits, values=(-1, 1))
        Array([-1.,  1.], dtype=float32)

    Args:
        key: a typed key (or the raw one of `jax.random.PRNGKey`), used for this draw alone.
        logits: `[*shape]`, of a float dtype.
        values: the lower and the upper value.
        name: what `hnca.explain` calls the draw, and `hnca.HNCA(marginalise=...)`; by default its kind and number. Of
            several draws of one name, such as the steps of a scan, the second is `name_1`, and so on.
        given: what the units have taken, `[*shape]`, where that is known already, as when a stored episode is credited:
            the draw takes these values, and `key` may be None. It is for the caller that they were drawn from these
            very logits; what only fills up an episode was not, and wants logits without parameters,
            `jnp.where(taken, logits, 0.0)`, or a baseline credits it.

    Returns:
        The values, `[*shape]`, in the logits' dtype.

    Raises:
        ValueError: for logits that are no floats, a key that is none or more than one, a name that is no text, or
            `values` that are not two finite numbers in ascending order; under plain `jax.grad`.
    """
    return _draw("bernoulli", key, logits, _checked_values(values), name, given)


def categorical(
    key: Key[Array, ""] | UInt32[Array, " words"] | None,
    logits: Float[Array, "*shape categories"],
    *,
    name: str | None = None,
    given: Int[Array, "*shape"] | None = None,
) -> Int[Array, "*shape"]:
    """Draws independent units of several categories, `P(k) = softmax(logits)_k`; a scalar draw from `[categories]`.

    Examples:
        Two units of three categories, all but one of which cannot be:

        >>> never = -jnp.inf
        >>> logits = jnp.array([[never, 0.0, never], [never, never, 0.0]])
        >>> hnca.categorical(jax.random.key(0), logits)
        Array([1, 2], dtype=int32)

    Args:
        key: a typed key (or the raw one of `jax.random.PRNGKey`), used for this draw alone.
        logits: `[*shape, categories]`, of a float dtype; minus infinity for a category that cannot be.
        name: what `hnca.explain` calls the draw, and `hnca.HNCA(marginalise=...)`; by default its kind and number. Of
            several draws of one name, such as the steps of a scan, the second is `name_1`, and so on.
        given: what the units have taken, `[*shape]`, as for `hnca.bernoulli`.

    Returns:
        The categories, `[*shape]`, int32.

    Raises:
        ValueError: for logits that are no floats or have no axis of at least two categories, a key that is none or
            more than one, or a name that is no text; under plain `jax.grad`.
    """
    logits = as_array("categorical", "logits", logits)
    shape = logits.shape
    if not shape or shape[-1] < 2:
        raise ValueError(
            f"categorical: logits of shape {shape}; expected a last axis of at least two categories "
            "(for two-valued units there is hnca.bernoulli)."
        )
    return _draw("categorical", key, logits, None, name, given)


def _checked_values(values: Sequence[int | float]) -> tuple[float, ...]:
    """Returns the two values as numbers."""
    try:
        with jax.ensure_compile_time_eval():
            numbers = None if isinstance(values, str | bytes) else tuple(float(value) for value in values)
    except (TypeError, ValueError):  # a tracer, of which there is no number yet, is a TypeError
        numbers = None
    if numbers is None:
        raise ValueError(
            f"bernoulli: values={values!r}; expected two finite numbers that are known when the program is traced, the "
            "lower first, such as (0, 1), and no JAX array."
        )
    return Bernoulli(Free(1), numbers).values


def family_of(values: tuple[float, ...] | None, categories: int) -> Layer:
    """Returns a layer of the family that a draw's `values` parameter stands for (its conditional means nothing)."""
    return Categorical(Free(categories)) if values is None else Bernoulli(Free(1), values)


def _draw(
    owner: str,
    key: Array | None,
    logits: Array,
    values: tuple[float, ...] | None,
    name: str | None,
    given: Array | None,
) -> Array:
    if not (name is None or (isinstance(name, str) and name)):
        raise ValueError(f"{owner}: name={name!r}; expected a text, such as 'gate', or None.")
    logits = as_array(owner, "logits", logits)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"{owner}: logits of dtype {logits.dtype}; expected floats.")
    settings = {"values": values, "name": name, "shared": False}
    if given is not None:
        given, shape = as_array(owner, "given", given), logits.shape[:-1] if values is None else logits.shape
        if given.shape != shape or (values is None and not jnp.issubdtype(given.dtype, jnp.integer)):
            raise ValueError(
                f"{owner}: given of shape {given.shape} and dtype {given.dtype}; expected {shape} for logits of shape "
                f"{logits.shape}{', integers, as by given.astype(int)' if values is None else ''}."
            )
        taken = given.astype(jnp.int32 if values is None else logits.dtype)
        return draw_p.bind(jax.random.key(0), logits, jax.lax.stop_gradient(taken), **settings)
    if key is None:
        raise ValueError(f"{owner}: key=None; expected a key, or the values taken as `given`.")
    key = as_array(owner, "key", key, "a key, such as jax.random.key(0)")
    if key.dtype == jnp.uint32 and key.ndim:
        key = jax.random.wrap_key_data(key)
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.ndim:
        raise ValueError(
            f"{owner}: key of dtype {key.dtype} and shape {key.shape}; expected one key, such as jax.random.key(0)"
            f"{'; of a batch of keys one an example, by in_axes where there are such, or keys[0]' if key.ndim else ''}."
        )
    return draw_p.bind(key, logits, **settings)


def draw_values(key: Array, logits: Array, values: tuple[float, ...] | None) -> Array:
    """Draws; a key may have leading axes, one key for every index of the logits' first axes."""
    sample = family_of(values, logits.shape[-1] if values is None else 2).sample
    # A family's units are an axis: that of a scalar draw is put there, and taken away again.
    scalar = logits.ndim - key.ndim < (2 if values is None else 1)
    if not scalar:
        return sample(key, logits)
    axis = key.ndim
    return jnp.squeeze(sample(key, jnp.expand_dims(logits, axis)), axis)


@draw_p.def_impl
def _impl(key, logits, *given, values, **_):
    return given[0] if given else draw_values(key, logits, values)


@draw_p.def_abstract_eval
def _abstract(_, logits, *__, values, **___):
    shape, dtype = (logits.shape[:-1], jnp.int32) if values is None else (logits.shape, logits.dtype)
    return jax.core.ShapedArray(shape, jnp.dtype(dtype))


mlir.register_lowering(
    draw_p,
    mlir.lower_fun(
        lambda key, logits, *given, **settings: _impl(key, logits, *given, **settings), multiple_results=False
    ),
)


def _batched(arguments, axes, *, values, name, shared):
    size = next(a.shape[axis] for a, axis in zip(arguments, axes, strict=True) if axis is not None)
    shared = shared or (axes[0] is None and len(arguments) == 2)

    def in_front(array, axis):
        return jnp.broadcast_to(array, (size, *array.shape)) if axis is None else jnp.moveaxis(array, axis, 0)

    moved = [in_front(array, axis) for array, axis in zip(arguments, axes, strict=True)]
    return draw_p.bind(*moved, values=values, name=name, shared=shared), 0


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
    return values_drawn, ad.Zero.from_primal_value(values_drawn)  # type: ignore[attr-defined]


ad.primitive_jvps[draw_p] = _jvp
