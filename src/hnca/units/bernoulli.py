"""Units with two values."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key, Num

from hnca._options import known_numbers
from hnca.units import _noise
from hnca.units._base import Conditional, Layer, checked_conditional


class Bernoulli(Layer):
    """A layer of independent two-valued units: `P(upper value) = sigmoid(logit)`.

    Example:
        ```python
        hnca.Bernoulli(hnca.Dense("image", 784, 200, key=key), values=(-1, 1))
        ```

    Args:
        conditional: sets the logits, one a unit.
        values: the lower and the upper value, in this order; `(0, 1)` and `(-1, 1)` are the usual ones.

    Raises:
        ValueError: if `values` is not two finite numbers in ascending order, or `conditional` is no conditional.
    """

    conditional: Conditional
    values: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, conditional: Conditional, values: Sequence[int | float] = (0, 1)):
        self.conditional = checked_conditional("Bernoulli", conditional)
        try:
            self.values = tuple(float(value) for value in _numbers_of(values))
        except (TypeError, ValueError):
            raise ValueError(_expected(values)) from None

    def __check_init__(self):
        ascending = len(self.values) == 2 and -float("inf") < self.values[0] < self.values[1] < float("inf")
        if not ascending:
            raise ValueError(_expected(self.values))

    @property
    def units(self) -> int:
        return self.conditional.out_features

    @property
    def features(self) -> int:
        return self.units

    @property
    def alternatives(self) -> int:
        return 2

    @property
    def span(self) -> float:
        """The distance between the two values."""
        return self.values[1] - self.values[0]

    def as_logits(self, outputs: Float[Array, "*batch units"]) -> Float[Array, "*batch units"]:
        return outputs

    def alternative_values(self, dtype: DTypeLike) -> Float[Array, "2"]:
        return jnp.asarray(self.values, dtype)

    def index(self, values: Num[Array, "*batch units"]) -> Int[Array, "*batch units"]:
        return (self.state(values) > 0.5).astype(jnp.int32)

    def state(self, values: Num[Array, "*batch units"]) -> Float[Array, "*batch units"]:
        """Returns 1 where a unit has its upper value and 0 where it has its lower, in the dtype of the values.

        Linear in between, so that a relaxation of the values can be differentiated through it, and exact at the two.
        """
        if self.values == (0.0, 1.0):
            return values
        if not jnp.issubdtype(values.dtype, jnp.floating):
            values = values.astype(jnp.result_type(float))
        low, high = self._ends(values.dtype)
        # From the nearer end, where the difference is 0.
        from_low, from_high = (values - low) / (high - low), (values - high) / (high - low)
        return jnp.where(from_low > 0.5, 1 + from_high, from_low)

    def from_state(self, state: Float[Array, "*batch units"]) -> Float[Array, "*batch units"]:
        """Returns the values of units whose state is 0 (lower) or 1 (upper)."""
        if self.values == (0.0, 1.0):
            return state
        low, high = self._ends(state.dtype)
        return low * (1 - state) + high * state

    def _ends(self, dtype: DTypeLike) -> tuple[Array, Array]:
        """Returns the two values as numbers of this dtype."""
        low, high = (np.asarray(value, dtype) for value in self.values)
        if low == high:
            raise ValueError(f"Bernoulli: values={self.values!r} are the same number in {jnp.dtype(dtype).name}.")
        return jnp.asarray(low), jnp.asarray(high)

    def sample(self, key: Key[Array, "*keys"], logits: Float[Array, "*batch units"]) -> Float[Array, "*batch units"]:
        low, high = self._ends(logits.dtype)
        return jnp.where(_noise.bernoulli(key, logits), high, low)

    def log_prob(
        self, logits: Float[Array, "*batch units"], values: Num[Array, "*batch units"]
    ) -> Float[Array, "*batch units"]:
        state = self.state(values).astype(logits.dtype)
        # Of the nearer value, whose term is finite for infinite logits too, and what a relaxed state adds to it.
        is_up = state > 0.5
        nearer, rest = -jax.nn.softplus(jnp.where(is_up, -logits, logits)), state - is_up.astype(logits.dtype)
        return nearer + rest * jnp.where((rest == 0) & jnp.isinf(logits), 0, logits)

    def mean(self, logits: Float[Array, "*batch units"]) -> Float[Array, "*batch units"]:
        return self.from_state(jax.nn.sigmoid(logits))

    def entropy(self, logits: Float[Array, "*batch units"]) -> Float[Array, "*batch units"]:
        return bernoulli_entropy(logits)

    def encode(self, values: Num[Array, "*batch units"], dtype: DTypeLike) -> Float[Array, "*batch units"]:
        return values.astype(dtype)

    def score(
        self, logits: Float[Array, "*batch units"], values: Num[Array, "*batch units"]
    ) -> Float[Array, "*batch units"]:
        return self.state(values).astype(logits.dtype) - jax.nn.sigmoid(logits)

    def posterior(
        self, logits: Float[Array, "*batch units"], message: Float[Array, "*batch units"]
    ) -> Float[Array, "*batch units"]:
        prior = jax.nn.sigmoid(logits)
        # What a value that cannot be would make of its children need not be a number.
        unknown = jnp.isnan(message) & ((prior == 0) | (prior == 1))
        return jax.nn.sigmoid(logits + jnp.where(unknown, 0, message))

    def contrast(
        self, alternatives: Float[Array, "*batch units 2"], values: Num[Array, "*batch units"]
    ) -> Float[Array, "*batch units"]:
        return alternatives[..., 1] - alternatives[..., 0]

    def credit(
        self,
        logits: Float[Array, "*batch units"],
        values: Num[Array, "*batch units"],
        message: Float[Array, "*batch units"] | None,
        value: Float[Array, "*batch"] | None,
        contrast: Float[Array, "*batch units"] | None,
    ) -> Float[Array, "*batch units"]:
        prior = jax.nn.sigmoid(logits)
        posterior = prior if message is None else self.posterior(logits, message)
        credit = jnp.zeros_like(logits)
        if message is not None and value is not None:
            credit += (posterior - prior) * value[..., None]
        if contrast is not None:
            # Eq 5 in terms of f and f(1) - f(0): what is left when (posterior - prior) f is taken out of it.
            state = self.state(values).astype(logits.dtype)
            weight = state * prior * (1 - posterior) + (1 - state) * (1 - prior) * posterior
            # What cannot happen has no weight, whatever it would have been worth.
            credit += weight * jnp.where(weight == 0, 0, contrast)
        return credit


def bernoulli_entropy(logits: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns the entropy of two-valued units, in nats: `softplus(a) - a sigmoid(a)`, of which `a` and `-a` are alike.

    Taken where a is below 0, where neither term is large; 0 for infinite logits, as is its derivative.
    """
    finite = jnp.where(jnp.isinf(logits), -1e4, logits)
    below = jnp.where(finite > 0, -finite, finite)
    return jax.nn.softplus(below) - below * jax.nn.sigmoid(below)


def _numbers_of(values: object) -> Any:
    """Returns a JAX array's numbers, which are known under `jax.jit` too where the array is, and others as they are."""
    found = known_numbers(values) if isinstance(values, jax.Array) else values
    return values if found is None else found


def _expected(values: object) -> str:
    return f"Bernoulli: values={values!r}; expected two finite numbers, the lower first, such as (0, 1)."
