"""Counterfactuals at any price: some are evaluated, the others guessed, and the guess corrected by what was evaluated.

With `S` the units (or values of units) of an example that are evaluated, chosen at random, the credit is

    guess + 1[in S] / P(in S) * (exact - guess).

Its expectation over `S` is the exact credit, whatever the guess. A credit is no linear function of a message, so that
it is the credit that is corrected. It is linear in the contrasts to a categorical unit's values, so that these are
chosen one by one; where a message has to be evaluated the unit is chosen, with all its values.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca._options import is_count, require_one_of
from hnca.estimators._choice import Choice, choose, design_of
from hnca.estimators._curvature import Curvature, learned, no_curvature, with_curvature
from hnca.estimators._downstream import over_logits
from hnca.estimators._evidence import Evidence, Sources, evidence_of, reevaluated, sources
from hnca.estimators._preference import Preference, learned_preference, no_preference, preferred
from hnca.estimators._requirements import require_key
from hnca.messages import Changes, changes_at, message_changes, slopes
from hnca.network import Network, Trace
from hnca.objectives import Objective, Role, checked_changes

Guess = Literal["none", "slope", "curvature"]
"""What stands in for a change that is not evaluated: nothing, its first-order guess, or that and what it was off by on
average so far."""

Chosen = Literal["uniform", "learned"]
"""How the units to evaluate are chosen: all alike, or with probabilities that have been learned."""

State = dict[str, dict[str, Curvature | Preference]]
"""By layer and by what is guessed; beside it what the choice has learned."""

_CHOICE = "choice"


class Corrected(NamedTuple):
    """The evidence of a layer where some of it is guessed.

    Attributes:
        guess: what is exact, and the guesses.
        improved: the same, with what was evaluated in place of its guess.
        choice: what is evaluated.
        guessed: what is guessed.
        corrections: what the credits for roles so far were corrected by where something was evaluated.
    """

    guess: Evidence
    improved: Evidence
    choice: Choice
    guessed: Sources
    corrections: list[Float[Array, "*logits"]]

    def credit(self, role: Role, credit_of: Callable[[Evidence], Float[Array, "*logits"]]) -> Float[Array, "*logits"]:
        """Returns the credit for the components that share a role, given how it comes of the evidence."""
        guess = credit_of(self.guess)
        uncertain = {*self.guessed.children, *self.guessed.components} & {*role.mediators, *role.direct}
        if role.opaque or not uncertain:
            return guess
        correction = credit_of(self.improved) - guess
        self.corrections.append(correction)
        inverse = self.choice.inverse
        if not isinstance(inverse, float):
            inverse = over_logits(inverse.astype(correction.dtype), correction)
        return guess + inverse * correction


class Learned(NamedTuple):
    """The state of an estimator whose guesses learn.

    Attributes:
        baselines: its state without them.
        guesses: what they have learned.
    """

    baselines: PyTree
    guesses: State


class SomeEvaluated:
    """Evaluates some counterfactuals of every layer that has expensive ones, and learns to guess the others.

    Attributes:
        state: what the guesses have learned; layer by layer replaced by what it is after the call.
    """

    def __init__(self, estimator: object, most: int, guess: Guess, key: Key[Array, ""] | None, state: State):
        """Args:
        estimator: whose credits they are, for messages.
        most: how many evaluations an example may take in each layer.
        guess: what stands in for the others.
        key: from which the choice is drawn.
        state: what the guesses have learned before.
        """
        self.estimator, self.most, self.guess, self.key = estimator, most, guess, key
        self.state: State = dict(state)

    def evidence(
        self, network: Network, objective: Objective, trace: Trace, name: str, layer_roles: Sequence[Role]
    ) -> Corrected | None:
        """Returns the evidence of a layer; None where all of it is exact.

        Raises:
            ValueError: if something is to be chosen and there is no key.
        """
        every = sources(layer_roles)
        dear = reevaluated(network, objective, name, every)
        design = design_of(network.layers[name], self.most, whole=bool(dear.children))
        if not any(dear) or design.is_exhaustive:
            return None
        key = require_key(self.estimator, self.key, "the counterfactuals to evaluate are")
        key = jax.random.fold_in(key, network.order.index(name))
        known = self.state.get(name, {}).get(_CHOICE)
        entropy = network.layers[name].entropy(trace.logits[name])
        weights = preferred(known, entropy) if isinstance(known, Preference) else None
        choice = choose(design, key, trace.batch_shape, weights)
        children = tuple(c for c in every.children if c not in dear.children)
        components = tuple(i for i in every.components if i not in dear.components)
        guess = evidence_of(network, objective, trace, name, Sources(children, components))
        improved = Evidence(dict(guess.messages), dict(guess.contrasts))
        for child in dear.children:
            changes = message_changes(network, trace, child, name)
            found = self._guessed(changes, network, trace, name, choice, f"message {child}")
            guess.messages[child], improved.messages[child] = found
        for place in dear.components:
            changes = checked_changes(objective.components[place], network, trace, name)
            found = self._guessed(changes, network, trace, name, choice, f"component {place}")
            guess.contrasts[place], improved.contrasts[place] = found
        return Corrected(guess, improved, choice, dear, [])

    def learn(self, network: Network, trace: Trace, name: str, corrected: Corrected) -> None:
        """Takes note of what the credits of a layer were corrected by, for the next choice."""
        known = self.state.get(name, {}).get(_CHOICE)
        if not isinstance(known, Preference) or not corrected.corrections:
            return
        entropy = network.layers[name].entropy(trace.logits[name])
        total = sum(corrected.corrections[1:], corrected.corrections[0])
        sizes = jnp.sqrt(jnp.sum(jnp.square(total), axis=tuple(range(entropy.ndim, total.ndim))))
        units, count = corrected.choice.units, entropy.shape[-1]
        rows = sizes.reshape(-1, count), entropy.reshape(-1, count), units.reshape(len(units), -1)
        self.state[name] = {**self.state[name], _CHOICE: learned_preference(known, *rows)}

    def _guessed(
        self, changes: Changes, network: Network, trace: Trace, name: str, choice: Choice, what: str
    ) -> tuple[Float[Array, "*logits"], Float[Array, "*logits"]]:
        """Returns the contrast as it is guessed, and with what is evaluated in place of its guess."""
        layer, values = network.layers[name], trace[name]
        shape, dtype = (*values.shape, layer.alternatives), trace.logits[name].dtype
        slope = jnp.zeros(shape, dtype) if self.guess == "none" else slopes(changes, network, trace, name)
        exact = changes_at(changes, network, trace, name, choice.units, choice.steps).astype(dtype)
        # From here on an example is a row, whatever the batch axes.
        taken, guess = layer.index(values).reshape(-1, layer.units), slope.reshape(-1, *shape[-2:])
        units, steps, exact = (each.reshape(len(each), -1) for each in (choice.units, choice.steps, exact))
        rows = jnp.broadcast_to(jnp.arange(units.shape[1]), units.shape)
        others = (taken[rows, units] + steps) % layer.alternatives
        known = self.state.get(name, {}).get(what) if self.guess == "curvature" else None
        if isinstance(known, Curvature):
            off = exact - guess[rows, units, others]
            self.state[name] = {**self.state[name], what: learned(known, off, units, others)}
            guess = with_curvature(guess, known, taken)
        improved = guess.at[rows, units, others].set(exact)
        return layer.contrast(guess.reshape(shape), values), layer.contrast(improved.reshape(shape), values)


def some_evaluated(
    estimator: object, most: int | None, guess: Guess, key: Key[Array, ""] | None, state: State
) -> SomeEvaluated | None:
    """Returns what evaluates some counterfactuals for an estimator; None where all are wanted."""
    return None if most is None else SomeEvaluated(estimator, most, guess, key, state)


def evaluations(
    network: Network, objective: Objective, reached: Mapping[str, tuple[Role, ...]], most: int | None
) -> int:
    """Returns how many other values of units an example has evaluated, those of all layers together."""
    total = 0
    for name, layer_roles in reached.items():
        dear = reevaluated(network, objective, name, sources(layer_roles))
        if any(dear):
            total += design_of(network.layers[name], most, whole=bool(dear.children)).evaluations
    return total


def first_guesses(
    network: Network,
    objective: Objective,
    reached: Mapping[str, tuple[Role, ...]],
    most: int | None,
    guess: Guess,
    choice: Chosen,
) -> State:
    """Returns what guesses and choices have learned before the first call: one entry for whatever learns."""
    state: State = {}
    for name, layer_roles in reached.items() if most is not None else ():
        dear = reevaluated(network, objective, name, sources(layer_roles))
        design = design_of(network.layers[name], most, whole=bool(dear.children))
        if not any(dear) or design.is_exhaustive:
            continue
        keys = (*(f"message {c}" for c in dear.children), *(f"component {i}" for i in dear.components))
        own: dict[str, Curvature | Preference] = {}
        if guess == "curvature":
            own |= {key: no_curvature(network, name) for key in keys}
        if choice == "learned" and design.is_by_unit:
            own[_CHOICE] = no_preference(network, name)
        if own:
            state[name] = own
    return state


def check_options(owner: str, counterfactuals: object, guess: object, choice: object) -> None:
    """Raises a ValueError unless the options say how many evaluations there may be, which, and what the others are."""
    if counterfactuals is not None and not is_count(counterfactuals, 1):
        raise ValueError(
            f"{owner}: counterfactuals={counterfactuals!r}; expected how many to evaluate an example, an int of at "
            "least 1, or None for all."
        )
    require_one_of(owner, "guess", guess, get_args(Guess))
    require_one_of(owner, "choice", choice, get_args(Chosen))
