"""Units with n unordered values."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key, Num

from hnca._options import floats_of_rank, is_count
from hnca._precision import in_full_precision
from hnca.units import _noise
from hnca.units._base import Conditional, Layer, checked_conditional


class Categorical(Layer):
    """A layer of independent units with `categories` values each: `P(k) = softmax(logits)_k`.

    Values are integers `[*batch, units]`; a child sees them one-hot, `[*batch, units * categories]`, or, with an
    embedding, as its rows, `[*batch, units * embedding size]`. A relaxation of the values is floats
    `[*batch, units, categories]`, a point of the simplex for every unit: `encode` and `log_prob` take it too, and are
    linear in it.

    Example:
        ```python
        hnca.Categorical(hnca.Dense("hidden", 200, 10, key=key))                 # one unit, ten values: an action
        hnca.Categorical(hnca.Dense("image", 784, 80, key=key), categories=4)    # twenty units of four values
        hnca.Categorical(hnca.Dense("image", 784, 80, key=key), 4, embedding=jax.random.normal(key2, (4, 2)))
        ```

    Args:
        conditional: sets the logits, `units * categories` numbers, a unit's categories next to each other.
        categories: how many values a unit has; by default all outputs of the conditional are one unit's.
        embedding: `[categories, size]`, a parameter, the same for all units of the layer; None for one-hot.

    Raises:
        ValueError: if `conditional` is no conditional, there are fewer than two categories, they do not divide the
            conditional's outputs, or the embedding has not one row a category.
    """

    conditional: Conditional
    embedding: Float[Array, "categories size"] | None
    categories: int = eqx.field(static=True)

    def __init__(
        self,
        conditional: Conditional,
        categories: int | None = None,
        embedding: Float[Array, "categories size"] | None = None,
    ):
        conditional = checked_conditional("Categorical", conditional)
        self.conditional = conditional
        if embedding is not None:
            embedding = floats_of_rank("Categorical", "embedding", embedding, 2, "[categories, size]")
        self.embedding = embedding
        self.categories = conditional.out_features if categories is None else categories

    def __check_init__(self):
        outputs = self.conditional.out_features
        if not is_count(self.categories, 2):
            raise ValueError(f"Categorical: categories={self.categories!r}; expected a whole number of at least 2.")
        if outputs % self.categories:
            raise ValueError(
                f"Categorical: categories={self.categories!r} does not divide the conditional's {outputs} outputs; "
                "expected units * categories outputs."
            )
        if self.embedding is not None and len(self.embedding) != self.categories:
            raise ValueError(
                f"Categorical: embedding of shape {self.embedding.shape}; expected ({self.categories}, size), a row a "
                "category."
            )

    @property
    def units(self) -> int:
        return self.conditional.out_features // self.categories

    @property
    def features(self) -> int:
        return self.units * (self.categories if self.embedding is None else self.embedding.shape[-1])

    @property
    def alternatives(self) -> int:
        return self.categories

    def as_logits(self, outputs: Float[Array, "*batch out_features"]) -> Float[Array, "*batch units categories"]:
        return outputs.reshape(*outputs.shape[:-1], self.units, self.categories)

    def alternative_values(self, dtype: DTypeLike) -> Int[Array, " categories"]:
        return jnp.arange(self.categories, dtype=jnp.int32)

    def index(self, values: Num[Array, "*batch units"]) -> Int[Array, "*batch units"]:
        return values.astype(jnp.int32)

    def sample(
        self, key: Key[Array, "*keys"], logits: Float[Array, "*batch units categories"]
    ) -> Int[Array, "*batch units"]:
        noise = _noise.gumbel(key, logits.shape, logits.dtype)
        return jnp.argmax(logits.astype(noise.dtype) + noise, axis=-1).astype(jnp.int32)

    def log_prob(
        self,
        logits: Float[Array, "*batch units categories"],
        values: Num[Array, "*batch units"] | Float[Array, "*batch units categories"],
    ) -> Float[Array, "*batch units"]:
        log_probs = jax.nn.log_softmax(logits)
        if values.ndim == logits.ndim:
            point = values.astype(logits.dtype)
            return jnp.sum(jnp.where((point == 0) & jnp.isinf(log_probs), 0, log_probs) * point, axis=-1)
        categories = jnp.arange(self.categories, dtype=jnp.int32).reshape((1,) * values.ndim + (-1,))
        is_taken = self.index(values)[..., None] == categories
        # Picked, not multiplied: the log-probability of another category may be infinite. A value that is none is NaN.
        picked = jnp.sum(jnp.where(is_taken, log_probs, 0), axis=-1)
        return jnp.where(jnp.any(is_taken, axis=-1), picked, jnp.nan)

    def mean(self, logits: Float[Array, "*batch units categories"]) -> Float[Array, "*batch features"]:
        return self._embedded(jax.nn.softmax(logits))

    def entropy(self, logits: Float[Array, "*batch units categories"]) -> Float[Array, "*batch units"]:
        log_probs = jax.nn.log_softmax(logits)
        return -jnp.sum(jax.nn.softmax(logits) * jnp.where(jnp.isneginf(log_probs), 0, log_probs), axis=-1)

    def encode(
        self, values: Int[Array, "*batch units"] | Float[Array, "*batch units categories"], dtype: DTypeLike
    ) -> Float[Array, "*batch features"]:
        return self._embedded(self.point(values, dtype))

    def point(
        self, values: Int[Array, "*batch units"] | Float[Array, "*batch units categories"], dtype: DTypeLike
    ) -> Float[Array, "*batch units categories"]:
        """Returns the point of the simplex that each unit takes: a corner, unless the values are relaxed."""
        if jnp.issubdtype(values.dtype, jnp.floating):
            return values.astype(dtype)
        return jax.nn.one_hot(values, self.categories, dtype=dtype)

    @in_full_precision
    def weight_by_category(self, weight: Float[Array, "features outputs"]) -> Float[Array, "units categories outputs"]:
        """Returns what each category of each unit adds through a weight on what a child sees."""
        by_unit = weight.reshape(self.units, -1, weight.shape[-1])
        return by_unit if self.embedding is None else jnp.einsum("ks,uso->uko", self.embedding, by_unit)

    def score(
        self, logits: Float[Array, "*batch units categories"], values: Num[Array, "*batch units"]
    ) -> Float[Array, "*batch units categories"]:
        return jax.nn.one_hot(values, self.categories, dtype=logits.dtype) - jax.nn.softmax(logits)

    def posterior(
        self, logits: Float[Array, "*batch units categories"], message: Float[Array, "*batch units categories"]
    ) -> Float[Array, "*batch units categories"]:
        # What a value that cannot be would make of its children need not be a number.
        unknown = jnp.isnan(message) & (jax.nn.softmax(logits) == 0)
        return jax.nn.softmax(logits + jnp.where(unknown, 0, message))

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
            # What cannot happen has no weight, whatever it would have been worth.
            contrast = jnp.where(posterior == 0, 0, contrast)
            expected = jnp.sum(posterior * contrast, axis=-1, keepdims=True)
            credit += posterior * contrast - prior * expected
        return credit

    @in_full_precision
    def _embedded(self, one_hot: Float[Array, "*batch units categories"]) -> Float[Array, "*batch features"]:
        seen = one_hot if self.embedding is None else one_hot @ self.embedding.astype(one_hot.dtype)
        return seen.reshape(*seen.shape[:-2], seen.shape[-2] * seen.shape[-1])
