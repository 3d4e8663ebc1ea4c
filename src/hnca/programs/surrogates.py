"""What has the value of a program and the derivative that its credits make."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hnca.estimators._estimate import Combined, weighted_values
from hnca.programs.arguments import is_key
from hnca.programs.model import layer_logits
from hnca.programs.passes import Pass
from hnca.programs.plan import Plan


def with_gradient_scaled(value: Float[Array, ""], scale: Float[Array, ""] | None) -> Float[Array, ""]:
    """Returns the value as it is, with its derivative multiplied by a number; None for 1."""
    if scale is None:
        return value
    fixed = jax.lax.stop_gradient(value)
    return fixed + jax.lax.stop_gradient(scale).astype(value.dtype) * (value - fixed)


def held(tree: PyTree) -> PyTree:
    """Returns the arrays without derivatives; keys have none, nor has what is no array."""

    def one(leaf: Any) -> Any:
        return jax.lax.stop_gradient(leaf) if eqx.is_array_like(leaf) and not is_key(jnp.asarray(leaf)) else leaf

    return jax.tree.map(one, tree)


def surrogate(
    plan: Plan,
    run: Pass,
    marks: Pass,
    credits: Mapping[str, Array],
    batch_shape: tuple[int, ...],
    combined: Combined | None,
) -> Float[Array, ""]:
    """Returns the value, with the derivative that the credits and the direct part make.

    `run` has the axes of `batch_shape`; with passes in front, `combined` says what they come to.
    """
    outputs = jnp.broadcast_to(run.outputs[0], batch_shape) if not marks.outputs[0] else run.outputs[0]
    mean = jnp.mean(weighted_values(outputs, None if combined is None else combined.weights))
    value = mean if combined is None else jnp.mean(combined.value)
    total = mean.astype(plan.dtype)
    for output, draw in plan.program.draws.items():
        logits = layer_logits(plan, output, run.logits[output], marks.logits[output], batch_shape)
        product = credits[draw.name] * logits
        total += jnp.sum(product) / jnp.asarray(max(outputs.size, 1), product.dtype)
    # The value of `value`, the derivative of `total`.
    value = jax.lax.stop_gradient(value)
    return value + (total - jax.lax.stop_gradient(total)).astype(value.dtype)
