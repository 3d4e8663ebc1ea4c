"""A callable as a part of a network: its arrays are parameters, and everything else of it is static."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array


class Parametrised(eqx.Module):
    """Any callable, held so that the only leaves are arrays: fit for `jax.jit`, `jax.grad`, `jax.vmap` and Optax.

    Arrays that an Equinox module (or any other pytree) holds are leaves, and so parameters; its activations, flags and
    the like are static, as is a whole plain function or method: arrays that one of these closes over are constants. A
    function made anew for every call is another one to `jax.jit`, and compiles anew.

    Attributes:
        arrays: the array leaves of the callable.
        rest: its structure and its other leaves.
    """

    arrays: tuple[Array, ...]
    rest: tuple[Any, tuple[Any, ...]] = eqx.field(static=True)

    def __init__(self, function: Callable[..., Array]):
        leaves, structure = jax.tree.flatten(function)
        self.arrays = tuple(leaf for leaf in leaves if _is_array(leaf))
        self.rest = structure, tuple(_PLACE if _is_array(leaf) else leaf for leaf in leaves)

    @property
    def function(self) -> Callable[..., Array]:
        """The callable with the arrays it has now."""
        structure, leaves = self.rest
        arrays = iter(self.arrays)
        return jax.tree.unflatten(structure, [next(arrays) if leaf is _PLACE else leaf for leaf in leaves])

    def __call__(self, *arguments: Array) -> Array:
        return self.function(*arguments)


class _Place:
    """Stands where an array does."""

    def __repr__(self) -> str:
        return "array"


_PLACE = _Place()


def parametrised(function: Callable[..., Array]) -> Parametrised:
    """Returns the callable as a `Parametrised`, which it may be already."""
    return function if isinstance(function, Parametrised) else Parametrised(function)


def _is_array(leaf: object) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)
