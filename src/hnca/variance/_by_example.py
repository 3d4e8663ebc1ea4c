"""Moments of conditionals whose per-example gradients are formed, some examples at a time."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hnca.conditionals import Conv, Stage
from hnca.units import Conditional

# At 4 bytes each 16 MiB of gradients at a time.
_ELEMENTS = 2**22

_Gradients = Callable[[tuple[tuple[Array, ...], Array]], PyTree]


def materialised_moments(
    stage: Stage, features: tuple[Array, ...], credit: Float[Array, "passes batch out_features"]
) -> tuple[PyTree, PyTree]:
    """Returns the moments for a function or module of any kind."""

    def of_example(example: tuple[tuple[Array, ...], Array]) -> PyTree:
        def product(s: Stage) -> Array:
            return jnp.mean(jax.vmap(lambda inputs, c: jnp.sum(_applied(s, inputs) * c))(*example))

        return eqx.filter_grad(product)(stage)

    return _moments_by_chunk(jax.vmap(of_example), stage, features, credit)


def convolution_moments(
    conv: Conv, features: tuple[Array, ...], credit: Float[Array, "passes batch out_features"]
) -> tuple[PyTree, PyTree]:
    """Returns the moments for a convolution, one example's gradient being a product of what is read and credits."""

    def of_chunk(chunk: tuple[tuple[Array, ...], Array]) -> Conv:
        (maps,), credits = chunk
        examples, passes = credits.shape[:2]
        by_place = credits.reshape(examples, -1, conv.out_shape[-1])
        products = [
            jnp.einsum("eri,ero->eio", read.reshape(examples, by_place.shape[1], -1), by_place)
            for _, read in conv.read_places(maps.reshape(examples * passes, *conv.in_shape))
        ]
        weight = jnp.stack(products, axis=1).reshape(examples, *conv.weight.shape)
        gradient = weight / passes, jnp.sum(by_place, axis=1) / passes
        return eqx.tree_at(lambda c: (c.weight, c.bias), eqx.filter(conv, eqx.is_inexact_array), gradient)

    return _moments_by_chunk(of_chunk, conv, features, credit)


def _applied(stage: Stage, inputs: tuple[Array, ...]) -> Array:
    """Returns what a stage makes of one example."""
    return stage(inputs, ()) if isinstance(stage, Conditional) else stage(*inputs)


def _moments_by_chunk(
    gradients: _Gradients, stage: Stage, features: tuple[Array, ...], credit: Array
) -> tuple[PyTree, PyTree]:
    """Returns the moments of `gradients`, which takes `[examples, passes, ...]` and returns `[examples, ...]`."""
    batch = credit.shape[1]
    parameters = eqx.filter(stage, eqx.is_inexact_array)
    chunk = _chunk(batch, sum(leaf.size for leaf in jax.tree.leaves(parameters)))

    def add_chunk(sums: tuple, examples: tuple) -> tuple[tuple, None]:
        found = gradients(examples)
        first = jax.tree.map(lambda s, g: s + jnp.sum(g, axis=0), sums[0], found)
        second = jax.tree.map(lambda s, g: s + jnp.sum(g**2, axis=0), sums[1], found)
        return (first, second), None

    zeros = jax.tree.map(jnp.zeros_like, parameters)
    by_example = jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), (features, credit))
    chunks = jax.tree.map(lambda a: a.reshape(batch // chunk, chunk, *a.shape[1:]), by_example)
    sums, _ = jax.lax.scan(add_chunk, (zeros, zeros), chunks)
    first, second = (jax.tree.map(lambda s: s / batch, moment) for moment in sums)
    return first, second


def _chunk(batch: int, parameters: int) -> int:
    """Returns the largest divisor of the batch whose gradients fit in `_ELEMENTS`."""
    fits = max(1, _ELEMENTS // max(1, parameters))
    return max(size for size in range(1, batch + 1) if batch % size == 0 and size <= fits)
