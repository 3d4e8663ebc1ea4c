"""Hindsight Network Credit Assignment: each unit is credited by what its children say of it in hindsight."""

from collections.abc import Mapping

import equinox as eqx
from jaxtyping import Array, Float, Key, PyTree

from hnca._options import require_flag
from hnca.baselines import Baseline
from hnca.estimators._base import Credits, Estimator, Passes
from hnca.estimators._centring import centred, first_state, inputs_seen
from hnca.estimators._cost import Cost, passes_from_parents, whole_passes
from hnca.estimators._counterfactuals import (
    Chosen,
    Guess,
    Learned,
    SomeEvaluated,
    check_options,
    evaluations,
    first_guesses,
    some_evaluated,
)
from hnca.estimators._hindsight import Centre, hindsight_credits
from hnca.estimators._marginal import first_of, in_first_pass, passes_over_values, require_known
from hnca.estimators._requirements import require_instance
from hnca.estimators.first_order import FirstOrder
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective, Role, as_objective, roles


class HNCA(Estimator):
    r"""The estimator of the paper, for observed rewards and known functions alike.

    **Formula.** For a layer, the components reached through the children `S` and their summed messages `Lambda_S`
    give the posterior `q = sigmoid(a + Lambda_S)` of each unit beside its prior `p = sigmoid(a)` (for a categorical
    unit a softmax). The credit on a Bernoulli logit is

    - `(q - p) (f - b)` where the layer reaches `f` through `S` alone (Eq 3);
    - `p (1 - p) (f(1) - f(0))` where `f` takes the layer as an argument and nothing mediates;
    - `(1 - p) q (f(1) - b) - p (1 - q) (f(0) - b)` where both hold (Eq 5);
    - `(x - p) (f - b)` where `f` takes the layer as an argument and has no counterfactual (REINFORCE).

    **Bias.** None. **Variance.** Of each unit's credit never above REINFORCE's without baselines (Theorem 1, Appendix
    I). Of a parameter that many units share, as all steps of a loop do, it may be: their credits may go together.
    **Cost.** One forward pass, one evaluation of the objective, one message an edge of the network: linear in depth;
    with a control, see there.

    Examples:
        >>> network = hnca.Network({"action": hnca.Categorical(hnca.Free(3))})
        >>> trace = network.sample(jax.random.key(0), {}, batch_shape=(50,))
        >>> reward = (trace["action"][:, 0] == 2).astype(float)
        >>> estimate = hnca.HNCA()(network, hnca.Reward("action", reward), trace)
        >>> estimate.credits["action"].shape
        (50, 1, 3)

    **Reference.** Young, *Hindsight Network Credit Assignment: Efficient Credit Assignment in Networks of Discrete
    Stochastic Units*, AAAI 2022, Eqs 2, 3, 5 and Algorithms 1 to 3.

    Where a network of deterministic units lies between a unit and what it is credited for (an `hnca.Function`, a
    `hnca.LogProb` or a child of `hnca.Sequential` or `hnca.Apply`), nothing but an evaluation tells what another value
    of the unit would have done, and a layer of 200 units costs 200. With `counterfactuals=m` an example has m
    evaluated, chosen at random by `key`, and the others are guessed from one backpropagation:
    `guess + 1[chosen] / P(chosen) (exact - guess)`, still unbiased, whatever the guess. A categorical unit has an
    evaluation for each of its other values; where a child's message has to be evaluated, all those of a chosen unit
    are, at least one unit's. What has a closed form stays exact, and a layer that has no more than m to evaluate has
    all evaluated. The paper's dominated variance is lost to the choice.

    The direct part of the gradient, by what the objective itself has in it (a decoder, experts), is that at the sample:
    of experts behind a gate only the one that was chosen learns. With `marginalise=name` it is the mean over all values
    of that layer's one unit, each with its probability given all else: as many evaluations as it has values, and less
    variance for whatever the objective's parameters are. `Estimate.value` is that mean too, and `Estimate.trace` has a
    pass for every value, the sampled one first, which has all the credit.

    Attributes:
        baseline: one for every layer and set of mediating children, or None.
        prune_children: see `hnca.objectives.roles`; False is an ablation of the paper's Appendix K, unbiased too.
        prune_upstream: likewise.
        control: what is taken out of what is mediated, and put back exactly, or None.
        counterfactuals: how many an example and layer are evaluated where there is no closed form; None for all.
        guess: what stands in for the others: `"slope"`, the first-order change; `"curvature"`, with it a running mean
            of what that was off by, kept in the state (one that is never handed on stays at 0); `"none"`, for what
            cannot be differentiated.
        choice: which are evaluated: `"learned"`, a unit more often where an evaluation is worth more, by its entropy
            and a running mean of what its credit was corrected by, kept in the state (one that is never handed on
            chooses uniformly); `"uniform"`, all equally often, as single values of categorical units always are.
        marginalise: the name of a layer of one unit (a gate over experts); None for none.

    Raises:
        ValueError: for fewer than one counterfactual or another guess; when called, for no `key` where some are chosen,
            and for a layer to marginalise that is not there, has several units, or whose objective is observed once.
    """

    baseline: Baseline | None = None
    prune_children: bool = eqx.field(static=True, default=True)
    prune_upstream: bool = eqx.field(static=True, default=True)
    control: FirstOrder | None = None
    counterfactuals: int | None = eqx.field(static=True, default=None)
    guess: Guess = eqx.field(static=True, default="curvature")
    choice: Chosen = eqx.field(static=True, default="learned")
    marginalise: str | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_options("HNCA", self.counterfactuals, self.guess, self.choice)
        require_instance("HNCA", "baseline", self.baseline, Baseline, "hnca.RunningMean()")
        require_instance("HNCA", "control", self.control, FirstOrder, "hnca.FirstOrder()")
        require_instance("HNCA", "marginalise", self.marginalise, str, "the name of a layer")
        require_flag("HNCA", "prune_children", self.prune_children)
        require_flag("HNCA", "prune_upstream", self.prune_upstream)

    def init(self, network: Network, objective: Objective | Component) -> PyTree:
        whole = as_objective(objective)
        reached = self._roles(network, whole)
        baselines: dict[str, PyTree] = {}
        if self.baseline is not None:
            baselines = {
                name: tuple(first_state(self.baseline, network) for _ in layer_roles)
                for name, layer_roles in reached.items()
            }
        guesses = first_guesses(network, whole, reached, self.counterfactuals, self.guess, self.choice)
        return Learned(baselines, guesses) if guesses else baselines

    def most_counterfactuals(self) -> int | None:
        return self.counterfactuals

    def reevaluations(self, network: Network, objective: Objective | Component) -> int:
        whole = as_objective(objective)
        return evaluations(network, whole, self._roles(network, whole), self.counterfactuals)

    def passes(self, network: Network, trace: Trace, key: Key[Array, ""] | None) -> Passes | None:
        return None if self.marginalise is None else passes_over_values("HNCA", network, trace, self.marginalise)

    def cost(self, network: Network) -> Cost:
        cost = whole_passes(1) if self.control is None else passes_from_parents(network)
        others = 0 if self.marginalise is None else network.layers[self.marginalise].alternatives - 1
        return cost._replace(evaluations=cost.evaluations + others)

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        if self.marginalise is None:
            return self._credit(network, objective, trace, key, state)
        require_known("HNCA", objective, self.marginalise)
        credits, state = self._credit(network, objective, first_of(trace), key, state)
        return in_first_pass(credits, trace.batch_shape[0]), state

    def _credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        reached, inputs = self._roles(network, objective), inputs_seen(network, trace)
        before, guesses = state if isinstance(state, Learned) else Learned(state, {})
        new_state = {name: list(before.get(name, (None,) * len(roles))) for name, roles in reached.items()}

        def centre(name: str, place: int, value: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
            if place >= len(new_state[name]):
                return value  # of a control's own terms, which it has centred
            value, new_state[name][place] = centred(self.baseline, new_state[name][place], inputs, value)
            return value

        some = some_evaluated(self, self.counterfactuals, self.guess, key, guesses)
        if self.control is None:
            credits = hindsight_credits(network, objective, trace, reached, centre, some)
        else:
            credits = self._controlled(self.control, network, objective, trace, reached, centre, some)
        after = {name: tuple(states) for name, states in new_state.items()} if self.baseline else {}
        return credits, Learned(after, some.state) if some is not None and some.state else after

    def _controlled(
        self,
        control: FirstOrder,
        network: Network,
        objective: Objective,
        trace: Trace,
        reached: Mapping[str, tuple[Role, ...]],
        centre: Centre,
        some: SomeEvaluated | None,
    ) -> Credits:
        """Returns the credit of every layer for the objective that the control makes for it."""
        control.check(objective, reached)
        credits: Credits = {}
        for name, layer_roles in reached.items():
            own = control.corrected(network, objective, trace, name, layer_roles)
            # What was reached keeps its place: the control's terms come last.
            own_roles = {name: self._roles(network, own)[name]}
            credits |= hindsight_credits(network, own, trace, own_roles, centre, some)
        return credits

    def _roles(self, network: Network, objective: Objective) -> dict[str, tuple[Role, ...]]:
        return roles(
            network, objective.components, prune_children=self.prune_children, prune_upstream=self.prune_upstream
        )
