"""What a program says of its values: that one is observed once only, that its result is a log weight."""

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, Num

from hnca._options import as_array

observed_p = Primitive("hnca_observed")


def observed(value: Num[Array, "*shape"]) -> Num[Array, "*shape"]:
    """Marks a value, a reward from outside, say, as known at the sample alone; it is returned as it is.

    Whatever a program returns that depends on it is credited without counterfactuals. What a callback returns counts as
    observed by itself. Derivatives pass through it. Every unit of a draw that it depends on is credited with all of it,
    so a reward for each of several units is for draws, or examples, of their own.

    Raises:
        ValueError: for a dictionary, list or tuple of values, or what is no number.
    """
    if isinstance(value, dict | list | tuple):
        raise ValueError(
            f"hnca.observed: a {type(value).__name__}; expected one array, such as a reward; of several, each."
        )
    return observed_p.bind(as_array("hnca.observed", "value", value))


observed_p.def_impl(lambda value: value)
observed_p.def_abstract_eval(lambda value: jax.core.ShapedArray(value.shape, value.dtype))
mlir.register_lowering(observed_p, mlir.lower_fun(lambda value: value, multiple_results=False))
ad.deflinear2(observed_p, lambda cotangent, _: [cotangent])
batching.primitive_batchers[observed_p] = lambda arguments, axes: (observed_p.bind(*arguments), axes[0])


log_weight_p = Primitive("hnca_log_weight")


def log_weight(log_p: Float[Array, ""], log_q: Float[Array, ""] | None) -> Float[Array, ""]:
    """Returns `log_p - log_q`, and says that this is the log of an importance weight: what `hnca.VIMCO` needs.

    Args:
        log_p: the joint log-probability of the example and of all that was drawn for it.
        log_q: the log-probability of all that was drawn, given the example: of every draw of the program. Every pass
            has its own draws and its own noise of `jax.random`, by typed keys among the function's arguments. None
            where all is drawn from the prior, whose probability is then left out of `log_p` as well: what is left is
            the log-likelihood of the example.

    Raises:
        ValueError: for what is no float, or has axes.
    """
    given = {"log_p": log_p} if log_q is None else {"log_p": log_p, "log_q": log_q}
    found = {name: as_array("log_weight", name, value) for name, value in given.items()}
    for name, array in found.items():
        if array.shape or not jnp.issubdtype(array.dtype, jnp.floating):
            raise ValueError(
                f"log_weight: {name} of {array.dtype} and shape {array.shape}; expected a float, summed over all that "
                "was drawn for the example."
            )
    dtypes = [array.dtype for array in found.values()]
    dtype = jnp.promote_types(dtypes[0], dtypes[-1])
    return log_weight_p.bind(*(array.astype(dtype) for array in found.values()))


log_weight_p.def_impl(lambda log_p, *log_q: log_p - log_q[0] if log_q else log_p)
log_weight_p.def_abstract_eval(lambda log_p, *_: jax.core.ShapedArray(log_p.shape, log_p.dtype))
mlir.register_lowering(
    log_weight_p,
    mlir.lower_fun(lambda log_p, *log_q: log_p - log_q[0] if log_q else log_p, multiple_results=False),
)
ad.deflinear2(log_weight_p, lambda cotangent, _, *log_q: [cotangent, *(-cotangent for _ in log_q)])


def _batched_weight(arguments, axes):
    moved = [a if axis is None else jnp.moveaxis(a, axis, 0) for a, axis in zip(arguments, axes, strict=True)]
    shape = jnp.broadcast_shapes(*(a.shape for a in moved))
    return log_weight_p.bind(*(jnp.broadcast_to(a, shape) for a in moved)), 0


batching.primitive_batchers[log_weight_p] = _batched_weight
