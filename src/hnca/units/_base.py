"""The contracts of a conditional (parents -> logits) and of a layer (a unit family over a conditional)."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping

import equinox as eqx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key, Num


class Conditional(eqx.Module):
    """How the parents of a layer set its logits: a differentiable map with parameters.

    Attributes:
        parents: names of the inputs and layers it reads, in the order in which it takes them.
        parent_sizes: how many features it expects of each parent; None where it takes any shape.
        out_features: how many numbers it returns for an example.
    """

    parents: eqx.AbstractVar[tuple[str, ...]]
    parent_sizes: eqx.AbstractVar[tuple[int | None, ...]]
    out_features: eqx.AbstractVar[int]

    @abstractmethod
    def __call__(
        self, features: tuple[Array, ...], batch_shape: tuple[int, ...]
    ) -> Float[Array, "*batch out_features"]:
        """Returns the logits, `[*batch, out_features]`.

        Args:
            features: one array a parent, `[*batch, features]`; an input may have any shape after the batch axes.
            batch_shape: the batch axes (a conditional with no parents cannot read them from anywhere else).
        """

    @property
    def has_messages(self) -> bool:
        """Whether its messages are worth their price; without, what it mediates is credited by the score."""
        return True

    @property
    def steps_at_once(self) -> Mapping[Hashable, int] | None:
        """The steps of it, as `hnca.messages.SmallSum` has them, where messages to all parents are best found at once.

        Then there is `of_values`. None where messages to one parent after the other are best.
        """
        return None

    def of_values(
        self, values: Mapping[str, Array], batch_shape: tuple[int, ...], dtype: DTypeLike
    ) -> Float[Array, "*batch out_features"]:
        """Returns the logits, of a dtype, given what the parents have taken, and not what is seen of that.

        Only where there is `steps_at_once`.
        """
        raise NotImplementedError(f"{type(self).__name__}: is evaluated for what is seen of parents alone.")

    @property
    def reads_one_unit(self) -> bool:
        """Whether each unit of the layer reads at most one unit of each parent, and `logits_by_unit` is there."""
        return False

    def logits_by_unit(
        self, parent: str, features: tuple[Array, ...], batch_shape: tuple[int, ...]
    ) -> tuple[Float[Array, "*batch alternatives out_features"], Int[Array, " out_features"]]:
        """Returns the logits for every value of a parent's units, and which unit each logit reads.

        Args:
            parent: its name; all others are as their features say.
            features: as in a call.
            batch_shape: likewise.

        Returns:
            The logits, had the unit that each reads the first, second, ... of its values, and the number of that unit;
            where a logit reads none, the number of units.

        Raises:
            ValueError: if a unit may read several.
        """
        raise ValueError(f"{type(self).__name__}: a unit may read several units of {parent!r}.")


def checked_conditional(owner: str, conditional: object, argument: str = "conditional") -> Conditional:
    """Returns the conditional; anything else, such as a bare Equinox module, is a ValueError that names the owner."""
    if isinstance(conditional, Conditional):
        return conditional
    name = conditional.__name__ if isinstance(conditional, type) else type(conditional).__name__
    raise ValueError(
        f"{owner}: {argument}={name}; expected a conditional, such as hnca.Dense. A module or a function of "
        "the parents goes into one: hnca.Apply(function, parents, out_features)."
    )


class Layer(eqx.Module):
    """A vector of units of one family, whose logits a conditional computes from the layer's parents.

    Shapes: a family with logits of one number a unit has `[*batch, units]`; a categorical one has
    `[*batch, units, categories]`. Values are always `[*batch, units]`. A *message* and a *contrast* have the shape of
    the logits (see `credit`).
    """

    conditional: eqx.AbstractVar[Conditional]

    @property
    @abstractmethod
    def units(self) -> int:
        """How many units the layer has."""

    @property
    @abstractmethod
    def features(self) -> int:
        """How many numbers a child sees of this layer: the last axis of `encode`."""

    @property
    @abstractmethod
    def alternatives(self) -> int:
        """How many values one unit can take."""

    @abstractmethod
    def as_logits(self, outputs: Float[Array, "*batch out_features"]) -> Float[Array, "*logits"]:
        """Returns a conditional's output in the shape of this family's logits."""

    def logits(self, features: tuple[Array, ...], batch_shape: tuple[int, ...]) -> Float[Array, "*logits"]:
        """Returns the logits given what the layer sees of its parents (see `Conditional`)."""
        return self.as_logits(self.conditional(features, batch_shape))

    @abstractmethod
    def alternative_values(self, dtype: DTypeLike) -> Num[Array, " alternatives"]:
        """Returns the values one unit can take, `[alternatives]`, for a layer whose logits have this dtype."""

    @abstractmethod
    def index(self, values: Num[Array, "*batch units"]) -> Int[Array, "*batch units"]:
        """Returns the place of each unit's value in `alternative_values`: never by the equality of floats."""

    @abstractmethod
    def sample(self, key: Key[Array, "*keys"], logits: Float[Array, "*logits"]) -> Num[Array, "*batch units"]:
        """Draws every unit independently given its logits: `alternative_values` of their dtype, bit for bit.

        A key may have axes, with a key for every index of the logits' first axes: each then draws its own part.
        """

    @abstractmethod
    def log_prob(
        self, logits: Float[Array, "*logits"], values: Num[Array, "*batch units"]
    ) -> Float[Array, "*batch units"]:
        """Returns each unit's log-probability, in nats."""

    @abstractmethod
    def mean(self, logits: Float[Array, "*logits"]) -> Float[Array, "*batch features"]:
        """Returns the expectation of `encode(values)`."""

    @abstractmethod
    def entropy(self, logits: Float[Array, "*logits"]) -> Float[Array, "*batch units"]:
        """Returns each unit's entropy, in nats."""

    @abstractmethod
    def encode(self, values: Num[Array, "*batch units"], dtype: DTypeLike) -> Float[Array, "*batch features"]:
        """Returns what a child sees of the values, in the dtype given."""

    @abstractmethod
    def score(self, logits: Float[Array, "*logits"], values: Num[Array, "*batch units"]) -> Float[Array, "*logits"]:
        """Returns the derivative of `log_prob` by the logits."""

    @abstractmethod
    def posterior(self, logits: Float[Array, "*logits"], message: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        """Returns P(unit | its Markov blanket), Young 2022, Eq 2: the prior logits shifted by the children's message.

        Of a Bernoulli unit the probability of its upper value; of a categorical one the probability of every category.
        """

    @abstractmethod
    def contrast(
        self, alternatives: Float[Array, "*batch units alternatives"], values: Num[Array, "*batch units"]
    ) -> Float[Array, "*logits"]:
        """Turns a quantity known for every alternative of a unit into its contrast (see `credit`).

        Args:
            alternatives: `[*batch, units, alternatives]`, the quantity had the unit taken that value, all else fixed.
            values: what the units took, `[*batch, units]`.
        """

    @abstractmethod
    def credit(
        self,
        logits: Float[Array, "*logits"],
        values: Num[Array, "*batch units"],
        message: Float[Array, "*logits"] | None,
        value: Float[Array, "*batch"] | None,
        contrast: Float[Array, "*logits"] | None,
    ) -> Float[Array, "*logits"]:
        r"""Returns the HNCA credit on the logits, for components that share the children which mediate them.

        The contrast of a component `f` says how `f` answers to one unit, all else fixed: `f(1) - f(0)` for a
        Bernoulli unit and `f(k) - f(value taken)` for every category `k` of a categorical one. A message is the
        contrast of the log-probability of the children.

        Args:
            logits: the layer's logits.
            values: the layer's values.
            message: the sum of the mediating children's messages; None when no child mediates.
            value: `[*batch]`, the components' value (less a baseline), which only the mediated part uses;
                None for zero.
            contrast: the components' contrast where they take this layer as an argument; None for zero.

        Source: Young 2022, Eq 3 (contrast None) and Eq 5; with `message` None, the local expectation of Section 2.
        """
