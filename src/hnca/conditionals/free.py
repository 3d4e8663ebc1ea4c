"""A learned bias."""

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from hnca.conditionals._checks import checked_size, dtype_of_parameters
from hnca.units import Conditional


class Free(Conditional):
    """A learned bias and no parents: the prior of a layer at the root of the network. It starts at 0.

    Attributes:
        bias: `[out_features]`.
    """

    bias: Float[Array, " out_features"]
    parents: tuple[str, ...] = eqx.field(static=True)
    parent_sizes: tuple[int, ...] = eqx.field(static=True)
    out_features: int = eqx.field(static=True)

    def __init__(self, out_features: int, *, dtype: DTypeLike | None = None):
        """Args:
            out_features: how many logits to return.
            dtype: of the bias; by default JAX's default float.

        Raises:
            ValueError: for a size under 1, or a dtype that is no float's.
        """
        self.parents, self.parent_sizes = (), ()
        self.out_features = checked_size("Free", "out_features", out_features)
        self.bias = jnp.zeros(self.out_features, dtype_of_parameters("Free", dtype))

    def __call__(
        self, features: tuple[Array, ...], batch_shape: tuple[int, ...]
    ) -> Float[Array, "*batch out_features"]:
        return jnp.broadcast_to(self.bias, (*batch_shape, self.out_features))
