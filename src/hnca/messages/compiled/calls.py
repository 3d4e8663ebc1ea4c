"""The compiled kernel as JAX functions, which can be compiled, mapped and differentiated like those they stand for."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from hnca.messages.energy import shifted_mean, shifted_mean_energy
from hnca.messages.product import product_message, softplus_sum

_Sums = Callable[..., PyTree]
"""Of `rise` and of arrays with an axis of examples before their last one."""


def message(
    rise: Float[Array, "parents children"],
    child_logits: Float[Array, "*batch children"],
    child_state: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns the message of Bernoulli children to Bernoulli parents, as `hnca.messages.product_message`.

    Args:
        rise: the shift of each child logit when a parent unit goes up.
        child_logits: logits of the children, with all parents as they are.
        child_state: 1 where a child has its upper value, else 0.
        parent_state: the same of the parents.
    """

    def reference(rise: Array, logits: Array, taken: Array, state: Array) -> Array:
        return (2 * state - 1) * product_message(rise, 1.0, logits, taken, state)

    loss = _differentiable(_loss, reference)(rise, child_logits, child_state, parent_state)
    return (2 * parent_state - 1) * loss


def growth_and_energy(
    rise: Float[Array, "parents children"],
    child_logits: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> tuple[Float[Array, "*batch parents"], Float[Array, "*batch parents"]]:
    """Returns what the softplus of the child logits would grow by, and their mean energy, after every flip.

    Both summed over the children, as `hnca.messages.product.softplus_sum` and
    `hnca.messages.energy.shifted_mean_energy`; arguments as for `message`.
    """

    def reference(rise: Array, logits: Array, state: Array) -> tuple[Array, Array]:
        return softplus_sum(rise, 1.0, logits, state), shifted_mean_energy(rise, logits, state)

    return _differentiable(_growth_and_energy, reference)(rise, child_logits, parent_state)


def mean(
    rise: Float[Array, "parents children"],
    child_logits: Float[Array, "*batch children"],
    slope: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns what a weighted sum of the children would be after every flip, as `hnca.messages.energy.shifted_mean`.

    Arguments as for `message`, and `slope`, what each child's probability is multiplied with.
    """
    return _differentiable(_mean, shifted_mean)(rise, child_logits, slope, parent_state)


def _loss(rise: Array, logits: Array, taken: Array, state: Array) -> Array:
    """Returns what the log-probability of the children loses by every flip."""
    result = jax.ShapeDtypeStruct(state.shape, rise.dtype)
    call = jax.ffi.ffi_call(f"hnca_message_{rise.dtype}", (result, result))
    return _log(*call(rise, logits, taken, state))


def _growth_and_energy(rise: Array, logits: Array, state: Array) -> tuple[Array, Array]:
    result = jax.ShapeDtypeStruct(state.shape, rise.dtype)
    call = jax.ffi.ffi_call(f"hnca_growth_and_energy_{rise.dtype}", (result, result, result))
    mantissa, exponent, energy = call(rise, logits, state)
    return _log(mantissa, exponent), energy


def _mean(rise: Array, logits: Array, slope: Array, state: Array) -> Array:
    result = jax.ShapeDtypeStruct(state.shape, rise.dtype)
    return jax.ffi.ffi_call(f"hnca_mean_{rise.dtype}", result)(rise, logits, slope, state)


def _log(mantissa: Array, exponent: Array) -> Array:
    return jnp.log(mantissa) + exponent * np.log(2).astype(mantissa.dtype)


def _differentiable(call: _Sums, reference: _Sums) -> _Sums:
    """Returns the call on arrays with any batch axes, whose derivative is that of the reference."""
    by_seed = _mapped(call)

    @jax.custom_jvp
    def sums(rise: Array, *by_example: Array) -> PyTree:
        shape = by_example[-1].shape
        flat = (a.astype(rise.dtype).reshape(1, -1, a.shape[-1]) for a in by_example)
        return jax.tree.map(lambda result: result.reshape(shape), by_seed(rise[None], *flat))

    @sums.defjvp
    def derivative(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[PyTree, PyTree]:
        return jax.jvp(reference, primals, tangents)

    return sums


def _mapped(call: _Sums) -> _Sums:
    """Returns the call on `[seeds, parents, children]` and on arrays `[seeds, batch, units]`.

    What is mapped over becomes seeds if `rise` is mapped over and batch if not, so that it is not repeated.
    """

    @jax.custom_batching.custom_vmap
    def mapped(rise: Array, *by_example: Array) -> PyTree:
        return call(rise, *by_example)

    @mapped.def_vmap
    def rule(size: int, batched: list[bool], rise: Array, *by_example: Array) -> tuple[PyTree, PyTree]:
        by_example = tuple(
            a if is_batched else jnp.broadcast_to(a, (size, *a.shape))
            for a, is_batched in zip(by_example, batched[1:], strict=True)
        )
        last = by_example[-1].shape
        if batched[0]:
            flat = (a.reshape(-1, *a.shape[2:]) for a in (rise, *by_example))
            return shaped(mapped(*flat), lambda result: result.reshape(last))
        by_seed = (jnp.moveaxis(a, 0, 1).reshape(a.shape[1], -1, a.shape[-1]) for a in by_example)
        shape = last[1], size, *last[2:]
        return shaped(mapped(rise, *by_seed), lambda result: jnp.moveaxis(result.reshape(shape), 1, 0))

    def shaped(results: PyTree, shape: Callable[[Array], Array]) -> tuple[PyTree, PyTree]:
        return jax.tree.map(shape, results), jax.tree.map(lambda _: True, results)

    return mapped
