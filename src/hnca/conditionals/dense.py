"""An affine map."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from hnca._keys import required_key
from hnca._names import checked_names
from hnca._options import require_flag
from hnca.conditionals._checks import checked_size, checked_sizes, dtype_of_parameters, over_batch
from hnca.units import Conditional


class Dense(Conditional):
    """An affine map of one or several parents: `sum over parents (features @ weight) + bias`.

    Weights start Uniform(-b, b) with `b = sqrt(6 / (in + out))` (`in` summed over the parents), biases at 0.

    Example:
        ```python
        hnca.Dense("image", 784, 200, key=key)
        hnca.Dense(("image", "hidden"), (784, 200), 10, key=key)    # a skip connection
        ```

    Attributes:
        weights: one `[in_features, out_features]` a parent.
        bias: `[out_features]`, or None; one for every example, `[*batch, out_features]`, where `eqx.tree_at` puts it.
    """

    weights: tuple[Float[Array, "_ out_features"], ...]
    bias: Float[Array, "*batch out_features"] | None
    parents: tuple[str, ...] = eqx.field(static=True)
    parent_sizes: tuple[int, ...] = eqx.field(static=True)
    out_features: int = eqx.field(static=True)

    def __init__(
        self,
        parents: str | Sequence[str],
        in_features: int | Sequence[int],
        out_features: int,
        *,
        key: Key[Array, ""],
        use_bias: bool = True,
        dtype: DTypeLike | None = None,
    ):
        """Args:
            parents: the name of the parent, or several.
            in_features: how many features each parent has, in the same order.
            out_features: how many logits to return.
            key: draws the weights.
            use_bias: whether to add a learned bias.
            dtype: of the parameters; by default JAX's default float.

        Raises:
            ValueError: for no parents, a parent named twice, a number of sizes that is not the number of parents, a
                size under 1, what is no key, or a dtype that is no float's.
        """
        require_flag("Dense", "use_bias", use_bias)
        self.parents = checked_names("Dense", "parents", parents)
        self.parent_sizes = checked_sizes("Dense", "in_features", in_features)
        self.out_features = checked_size("Dense", "out_features", out_features)
        if not self.parents:
            raise ValueError("Dense: parents=(); expected at least one name (a layer without parents is `Free`).")
        if len(self.parent_sizes) != len(self.parents):
            raise ValueError(
                f"Dense: in_features={in_features!r} for parents={self.parents!r}; expected one size a parent."
            )
        dtype = dtype_of_parameters("Dense", dtype)
        bound = (6 / (sum(self.parent_sizes) + self.out_features)) ** 0.5
        keys = jax.random.split(required_key("Dense", key, "that draws the weights"), len(self.parents))
        self.weights = tuple(
            jax.random.uniform(k, (size, self.out_features), dtype, -bound, bound)
            for k, size in zip(keys, self.parent_sizes, strict=True)
        )
        self.bias = jnp.zeros(self.out_features, dtype) if use_bias else None

    def __call__(
        self, features: tuple[Array, ...], batch_shape: tuple[int, ...]
    ) -> Float[Array, "*batch out_features"]:
        # An input may have any shape: its numbers are read one after another.
        flat = [f.reshape(*batch_shape, size) for f, size in zip(features, self.parent_sizes, strict=True)]
        logits = sum((f @ w for f, w in zip(flat[1:], self.weights[1:], strict=True)), flat[0] @ self.weights[0])
        return logits if self.bias is None else logits + over_batch(self.bias, batch_shape)

    def weight(self, parent: str) -> Float[Array, "in_features out_features"]:
        """Returns the weight that multiplies this parent's features."""
        return self.weights[self.parents.index(parent)]
