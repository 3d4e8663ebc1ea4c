"""What a program compiles to, as far as its text alone says: layers and components, before any number is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hnca.programs.dependence import depends_on, require_tied
from hnca.programs.equations import Draw, Program
from hnca.programs.inside import observes
from hnca.programs.kinds import ByUnit, Kinds, kinds_of
from hnca.programs.lowering import DENSE, REPLAY, SEQUENTIAL, Lowering, lower, lower_logits
from hnca.programs.magnitudes import dtype_for
from hnca.programs.parts import Part
from hnca.programs.polynomials import LOGISTIC, LOGSUMEXP, SOFTPLUS, VALUE, Polynomials
from hnca.programs.splitting import Term, is_linear_in, split

MAXIMUM_EVALUATIONS = 4096
"""How often a term may be evaluated anew in an update; one that is dearer is credited without counterfactuals."""


@dataclass(frozen=True)
class Likelihood:
    """Terms that are a sum of softplus, `x sigmoid(x)` or logsumexp of one value, affine in the draws it reads.

    Attributes:
        value: the number of `x`.
        lowering: how it is made.
        softplus: the term, or None.
        energy: what `x sigmoid(x)` is multiplied with.
        logsumexp: the term, or None.
        linear: terms that hold `x` as a factor, of a softplus with a number before it: the log-likelihood's other half.
    """

    value: int
    lowering: Lowering
    softplus: Term | None
    energy: float
    logsumexp: Term | None
    linear: tuple[Term, ...]


class Plan:
    """A program's layers and components.

    Attributes:
        program: the program.
        by_example: the values that differ by example.
        dtype: of the network, in which all that draws decide can be held.
        batch_axes: 1, or 0 for a program of one example.
        weight: what its result is multiplied with.
    """

    def __init__(self, program: Program, mapped: Sequence[int], weight: float = 1.0):
        """Args:
        program: the program.
        mapped: the inputs that have a batch axis outside; keys too that are none, of draws that are given.
        weight: what its result is multiplied with.
        """
        self.program, self.weight = program, weight
        self.by_example: frozenset[int] = frozenset(depends_on(program, set(mapped), through_draws=True))
        self.batch_axes = int(bool(mapped))
        self.kinds: Kinds = kinds_of(program, depends_on(program, set(mapped), through_draws=False))
        self.dtype = dtype_for(program, [value for value, draws in self.kinds.items() if draws])
        self._check_keys(set(mapped))
        require_tied(program)

    def _check_keys(self, mapped: set[int]) -> None:
        if not self.batch_axes:
            return
        fresh = depends_on(self.program, mapped, through_draws=False)
        for draw in self.program.draws.values():
            if draw.given is None and draw.key not in fresh:
                raise ValueError(
                    f"hnca: draw {draw.name!r} at {draw.line} uses one key for the whole batch, so that the examples "
                    "would not be independent; pass one key an example, jax.random.split(key, batch), with 0 for it in "
                    "in_axes."
                )

    @cached_property
    def opaque(self) -> set[int]:
        """The values that cannot be known for other values of the draws they read."""
        observed = {
            output
            for equation in self.program.equations
            if observes(equation.original)
            for output in equation.outputs
            if self.kinds.get(output)
        }
        return depends_on(self.program, observed, through_draws=False) if observed else set()

    def observed_by_unit(self) -> list[tuple[str, Draw]]:
        """Returns the lines in which elements are observed that read one unit of a draw each, and not all the same."""
        found = []
        for equation in self.program.equations:
            if not observes(equation.original):
                continue
            kinds = [kind for value in equation.inputs for kind in self.kinds.get(value, {}).items()]
            several = [d for d, kind in kinds if isinstance(kind, ByUnit) and len(np.setdiff1d(kind.index, -1)) > 1]
            found += [(equation.line, self.program.draws[draw]) for draw in several]
        return found

    @cached_property
    def is_log_weight(self) -> bool:
        """Whether the program says that its result is the log of an importance weight.

        Raises:
            ValueError: if its `log_q` leaves a draw out.
        """
        marked = self.program.log_weight
        if marked is None or marked.value != self.program.outputs[0]:
            return False
        if marked.log_q is None:
            return True
        scored = self.kinds.get(marked.log_q, {})
        missing = [draw for output, draw in self.program.draws.items() if output not in scored]
        if missing:
            raise ValueError(
                f"hnca.log_weight: log_q does not depend on draw {missing[0].name!r} at {missing[0].line}; expected "
                "the log-probability of every draw, such as jnp.sum(hnca.log_prob(logits, draw)), or None where all is "
                "drawn from the prior and log_p is the log-likelihood alone."
            )
        return True

    @cached_property
    def layers(self) -> dict[int, Lowering]:
        """How every draw's logits are made, by the draw's output."""
        found = {}
        for output, draw in self.program.draws.items():
            if draw.logits in self.opaque:
                raise ValueError(
                    f"hnca: the logits of draw {draw.name!r} at {draw.line} read what hnca.observed (or a callback) "
                    "made of an earlier draw; only what the function returns may depend on it. Store the "
                    "episode, and credit it with its observations as data and its draws as given=."
                )
            found[output] = lower_logits(self.program, self.kinds, draw, self.by_example, self.dtype)
        return found

    @cached_property
    def terms(self) -> list[Term]:
        """What the result comes to, without what reads no draw."""
        polynomials = Polynomials(self.program, self.kinds)
        result = self.program.outputs[0]
        if not isinstance(result, int):
            return []
        return split(self.program, self.kinds, polynomials, result, self.weight, self.opaque)

    @cached_property
    def likelihoods(self) -> list[Likelihood]:
        """The terms whose contrasts are messages, each in one likelihood alone."""
        found: dict[tuple[int, tuple[int, ...] | None], dict[str, Term]] = {}
        for term in self.terms:
            kind = self._likelihood_kind(term)
            if kind:
                # Of a categorical layer's there may be two, one of which has kept its axis.
                found.setdefault((_argument(term), term.shape if kind == LOGSUMEXP else None), {})[kind] = term
        results, taken = [], set[int]()
        for (value, _), kinds in found.items():
            lowering = self._lowered(value)
            energy = kinds.get(LOGISTIC)
            weight = energy.weight if energy is not None and isinstance(energy.weight, float) else 0.0
            softplus, logsumexp = kinds.get(SOFTPLUS), kinds.get(LOGSUMEXP)
            scored = softplus is not None and energy is None and bool(softplus.weight)
            places = {n for n, t in enumerate(self.terms) if scored and self._is_multiple(t, value)} - taken
            taken |= places
            linear = tuple(self.terms[place] for place in sorted(places))
            results.append(Likelihood(value, lowering, softplus, weight, logsumexp, linear))
        return results

    def _is_multiple(self, term: Term, value: int) -> bool:
        """Returns whether a term is a value times what reads other draws, if any, and those linearly."""
        others = [atom for atom in term.atoms if atom != (VALUE, value)]
        if term.observed or len(others) != len(term.atoms) - 1 or len(others) > 1:
            return False
        apart = all(kind == VALUE and not set(self.kinds[v]) & set(self.kinds[value]) for kind, v in others)
        linear = all(is_linear_in(term, self.kinds, draw) for draw in term.reads)
        return apart and linear and term.shape == self.program.avals[value].shape

    @cached_property
    def others(self) -> list[tuple[Term, Part]]:
        """The remaining terms, each with the part of the program from its draws to its atoms."""
        scored = [term for likelihood in self.likelihoods for term in likelihood.linear]
        return [(t, self.part_of(t)) for t in self.terms if not self._likelihood_kind(t) and t not in scored]

    def part_of(self, term: Term) -> Part:
        """Returns the part of the program from a term's draws to its atoms."""
        return Part(self.program, self.kinds, [v for _, v in term.atoms])

    def evaluations(self, term: Term, part: Part, most: int | None = None) -> int:
        """Returns how often a term is evaluated anew in an update: once for every other value of what it bends with.

        Args:
            term: the term.
            part: what lies before it.
            most: for how many of each draw's at most; None for all.
        """
        if term.observed:
            return 0
        dear = [self.program.draws[d] for d in part.draws if not is_linear_in(term, self.kinds, d)]
        return sum(alternatives(draw, most) for draw in dear)

    def evaluations_of_messages(self, lowering: Lowering, most: int | None = None) -> int:
        """Returns how often a draw's logits are evaluated anew for its messages in an update; `most` likewise."""
        if lowering.way not in (SEQUENTIAL, REPLAY):
            return 0
        return sum(alternatives(self.program.draws[d], most, whole=True) for d in lowering.part.draws)

    def cut_of(self, term: Term, part: Part) -> tuple[Part, Part] | tuple[None, None]:
        """Returns a term's part up to where everything is linear, and the rest; nothing where that is of no use."""
        if all(is_linear_in(term, part.kinds, draw) for draw in part.draws):
            return None, None
        return part.cut(self.by_example, self.dtype) or (None, None)

    @cached_property
    def saved(self) -> frozenset[int]:
        """The values that the forward pass has to leave behind."""
        lowerings = [*self.layers.values(), *(likelihood.lowering for likelihood in self.likelihoods)]
        values = {value for lowering in lowerings for value in lowering.saved}
        scored = [(term, self.part_of(term)) for likelihood in self.likelihoods for term in likelihood.linear]
        values |= {value for term, part in (*self.others, *scored) if not term.observed for value in part.surroundings}
        values |= {value for term in self.terms if term.observed for _, value in term.atoms}
        return frozenset(values)

    def _lowered(self, value: int) -> Lowering:
        if value not in self._lowerings:
            self._lowerings[value] = lower(self.program, self.kinds, value, self.by_example, self.dtype)
        return self._lowerings[value]

    @cached_property
    def _lowerings(self) -> dict[int, Lowering]:
        return {}

    def _likelihood_kind(self, term: Term) -> str:
        """Returns `SOFTPLUS`, `LOGISTIC` (for the energy) or `LOGSUMEXP`, or nothing for another term."""
        kinds = sorted(kind for kind, _ in term.atoms)
        values = {value for _, value in term.atoms}
        if len(values) != 1 or term.observed or kinds not in ([SOFTPLUS], [LOGISTIC, VALUE], [LOGSUMEXP]):
            return ""
        (value,) = values
        single = kinds == [LOGSUMEXP] and term.shape in ((), (1,))
        if not (isinstance(term.weight, float) or single) or self._lowered(value).way != DENSE:
            return ""
        if kinds != [LOGSUMEXP] and term.shape != self.program.avals[value].shape:
            return ""
        return kinds[0]


def alternatives(draw: Draw, most: int | None = None, *, whole: bool = False) -> int:
    """Returns how many other values of a draw's units are evaluated.

    Args:
        draw: the draw.
        most: at most so many; None for all.
        whole: whether units are evaluated with all their values, at least one of them.
    """
    per_unit = draw.categories - 1
    if most is None:
        return draw.units * per_unit
    return min(draw.units * per_unit, max(1, most // per_unit) * per_unit if whole else most)


def _argument(term: Term) -> int:
    return term.atoms[0][1]
