"""What is observed once, and cannot be asked what it would have been otherwise."""

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Num

observed_p = Primitive("hnca_observed")


def observed(value: Num[Array, "*shape"]) -> Num[Array, "*shape"]:
    """Marks a value, a reward from outside, say, as known at the sample alone; it is returned as it is.

    Whatever a program returns that depends on it is credited without counterfactuals. What a callback returns counts as
    observed by itself. Derivatives pass through it.
    """
    return observed_p.bind(jnp.asarray(value))


observed_p.def_impl(lambda value: value)
observed_p.def_abstract_eval(lambda value: jax.core.ShapedArray(value.shape, value.dtype))
mlir.register_lowering(observed_p, mlir.lower_fun(lambda value: value, multiple_results=False))
ad.deflinear2(observed_p, lambda cotangent, _: [cotangent])
batching.primitive_batchers[observed_p] = lambda arguments, axes: (observed_p.bind(*arguments), axes[0])
