"""The compiled kernel as JAX functions, which can be compiled, mapped and differentiated like those they stand for."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hnca.messages.energy import shifted_mean_energy
from hnca.messages.product import softplus_sum

_Sums = Callable[[Array, Array, Array], Array]


def softplus_growth(
    rise: Float[Array, "parents children"],
    child_logits: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns by how much the softplus of the child logits would grow, summed over the children, for every flip.

    Args:
        rise: the shift of each child logit when a parent unit goes up.
        child_logits: logits of the children, with all parents as they are.
        parent_state: 1 where a parent unit has its upper value, else 0.
    """
    return _differentiable(_growth, lambda r, a, s: softplus_sum(r, 1.0, a, s))(rise, child_logits, parent_state)


def energy_after_flip(
    rise: Float[Array, "parents children"],
    child_logits: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns the same as `hnca.messages.energy.shifted_mean_energy`; the arguments are the same."""
    return _differentiable(_energy, shifted_mean_energy)(rise, child_logits, parent_state)


def _growth(rise: Array, logits: Array, state: Array) -> Array:
    result = jax.ShapeDtypeStruct(state.shape, rise.dtype)
    mantissa, exponent = jax.ffi.ffi_call(f"hnca_growth_{rise.dtype}", (result, result))(rise, logits, state)
    return jnp.log(mantissa) + exponent * np.log(2).astype(rise.dtype)


def _energy(rise: Array, logits: Array, state: Array) -> Array:
    result = jax.ShapeDtypeStruct(state.shape, rise.dtype)
    return jax.ffi.ffi_call(f"hnca_energy_{rise.dtype}", result)(rise, logits, state)


def _differentiable(call: _Sums, reference: _Sums) -> _Sums:
    """Returns the call on arrays with any batch axes, whose derivative is that of the reference."""
    by_seed = _mapped(call)

    @jax.custom_jvp
    def sums(rise: Array, logits: Array, state: Array) -> Array:
        flat = (a.reshape(1, -1, a.shape[-1]) for a in (logits, state.astype(rise.dtype)))
        return by_seed(rise[None], *flat).reshape(state.shape)

    @sums.defjvp
    def derivative(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        return jax.jvp(reference, primals, tangents)

    return sums


def _mapped(call: _Sums) -> _Sums:
    """Returns the call on `[seeds, parents, children]`, `[seeds, batch, children]`, `[seeds, batch, parents]`.

    What is mapped over becomes seeds if `rise` is mapped over and batch if not, so that it is not repeated.
    """

    @jax.custom_batching.custom_vmap
    def mapped(rise: Array, logits: Array, state: Array) -> Array:
        return call(rise, logits, state)

    @mapped.def_vmap
    def rule(size: int, batched: list[bool], rise: Array, logits: Array, state: Array) -> tuple[Array, bool]:
        logits, state = (
            a if is_batched else jnp.broadcast_to(a, (size, *a.shape))
            for a, is_batched in zip((logits, state), batched[1:], strict=True)
        )
        if batched[0]:
            flat = (a.reshape(-1, *a.shape[2:]) for a in (rise, logits, state))
            return mapped(*flat).reshape(state.shape), True
        by_seed = (jnp.moveaxis(a, 0, 1).reshape(a.shape[1], -1, a.shape[-1]) for a in (logits, state))
        result = mapped(rise, *by_seed).reshape(state.shape[1], size, *state.shape[2:])
        return jnp.moveaxis(result, 1, 0), True

    return mapped
