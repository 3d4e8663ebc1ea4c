"""Units with n unordered values."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key, Num

from hnca.units._base import Conditional, Layer


class Categorical(Layer):
    """A layer of independent units with `categories` values each: `P(k) = softmax(logits)_k`.

    Values are integers `[*batch, units]`; a child sees them one-hot, `[*batch, units * categories]`.

    Example:
        ```python
        hnca.Categorical(hnca.Dense("hidden", 200, 10, key=key))                 # one unit, ten values: an action
        hnca.Categorical(hnca.Dense("image", 784, 80, key=key), categories=4)    # twenty units of four values
        ```

    Args:
        conditional: sets the logits, `units * categories` numbers, a unit's categories next to each other.
        categories: how many values a unit has; by default all outputs of the conditional are one unit's.

    Raises:
        ValueError: if there are fewer than two categories or they do not divide the conditional's outputs.
    """

    conditional: Conditional
    categories: int = eqx.field(static=True)

    def __init__(self, conditional: Conditional, categories: int | None = None):
        self.conditional = conditional
        self.categories = conditional.out_features if categories is None else categories

    def __check_init__(self):
        outputs = self.conditional.out_features
        if self.categories < 2:
            raise ValueError(f"Categorical: categories={self.categories!r}; expected at least 2.")
        if outputs % self.categories:
            raise ValueError(
                f"Categorical: categories={self.categories!r} does not divide the conditional's {outputs} outputs; "
                "expected units * categories outputs."
            )

    @property
    def units(self) -> int:
        return self.conditional.out_features // self.categories

    @property
    def features(self) -> int:
        return self.conditional.out_features

    @property
    def alternatives(self) -> int:
        return self.categories

    def as_logits(self, outputs: Float[Array, "*batch out_features"]) -> Float[Array, "*batch units categories"]:
        return outputs.reshape(*outputs.shape[:-1], self.units, self.categories)

    def alternative_values(self, dtype: DTypeLike) -> Int[Array, " categories"]:
        return jnp.arange(self.categories, dtype=jnp.int32)

    def sample(
        self, key: Key[Array, ""], logits: Float[Array, "*batch units categories"]
    ) -> Int[Array, "*batch units"]:
        return jax.random.categorical(key, logits, axis=-1).astype(jnp.int32)

    def log_prob(
        self, logits: Float[Array, "*batch units categories"], values: Num[Array, "*batch units"]
    ) -> Float[Array, "*batch units"]:
        return jnp.sum(jax.nn.log_softmax(logits) * self._one_hot(values, logits), axis=-1)

    def mean(self, logits: Float[Array, "*batch units categories"]) -> Float[Array, "*batch features"]:
        probabilities = jax.nn.softmax(logits)
        return probabilities.reshape(*probabilities.shape[:-2], self.features)

    def entropy(self, logits: Float[Array, "*batch units categories"]) -> Float[Array, "*batch units"]:
        return -jnp.sum(jax.nn.softmax(logits) * jax.nn.log_softmax(logits), axis=-1)

    def encode(self, values: Num[Array, "*batch units"], dtype: DTypeLike) -> Float[Array, "*batch features"]:
        one_hot = jax.nn.one_hot(values, self.categories, dtype=dtype)
        return one_hot.reshape(*one_hot.shape[:-2], -1)

    def score(
        self, logits: Float[Array, "*batch units categories"], values: Num[Array, "*batch units"]
    ) -> Float[Array, "*batch units categories"]:
        return self._one_hot(values, logits) - jax.nn.softmax(logits)

    def posterior(
        self, logits: Float[Array, "*batch units categories"], message: Float[Array, "*batch units categories"]
    ) -> Float[Array, "*batch units categories"]:
        return jax.nn.softmax(logits + message)

    def contrast(
        self, alternatives: Float[Array, "*batch units categories"], values: Num[Array, "*batch units"]
    ) -> Float[Array, "*batch units categories"]:
        return alternatives - jnp.take_along_axis(alternatives, values[..., None], axis=-1)

    def credit(
        self,
        logits: Float[Array, "*batch units categories"],
        values: Num[Array, "*batch units"],
        message: Float[Array, "*batch units categories"] | None,
        value: Float[Array, "*batch"] | None,
        contrast: Float[Array, "*batch units categories"] | None,
    ) -> Float[Array, "*batch units categories"]:
        prior = jax.nn.softmax(logits)
        posterior = prior if message is None else self.posterior(logits, message)
        credit = jnp.zeros_like(logits)
        if message is not None and value is not None:
            credit += (posterior - prior) * value[..., None, None]
        if contrast is not None:
            expected = jnp.sum(posterior * contrast, axis=-1, keepdims=True)
            credit += posterior * contrast - prior * expected
        return credit

    def _one_hot(self, values: Num[Array, "*batch units"], logits: Array) -> Float[Array, "*batch units categories"]:
        return jax.nn.one_hot(values, self.categories, dtype=logits.dtype)
