"""HNCA over several passes, each of which is the others' baseline."""

import equinox as eqx
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators._base import Credits
from hnca.estimators._counterfactuals import Chosen, Guess, check_options, evaluations, first_guesses, some_evaluated
from hnca.estimators._hindsight import hindsight_credits
from hnca.estimators._passes import IndependentPassesEstimator, less_the_others
from hnca.estimators._requirements import require_repeatable
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective, as_objective, roles


class LeaveOneOutHNCA(IndependentPassesEstimator):
    r"""HNCA with a leave-one-out baseline.

    **Formula.** Of `samples` independent passes each is credited as by `HNCA`, every mediated sum `f_k` less the mean
    of the same sum over the other passes of the same example, `1 / (samples - 1) sum_{j != k} f_j`. The gradient is
    the mean over the passes.

    **Bias.** None, since the others are independent of the pass. Unlike a running mean the baseline knows the example,
    and it needs no history. **Cost.** `samples` times that of `HNCA`; linear in depth. Needs an objective that can be
    evaluated more than once.

    Example:
        ```python
        estimator = hnca.LeaveOneOutHNCA(samples=2)
        bound, estimate = hnca.estimate(estimator, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Young 2022, Eqs 3 and 5, with the baseline of Kool, van Hoof and Welling, *Buy 4 REINFORCE samples,
    get a baseline for free!*, 2019.

    Attributes:
        samples: how many passes, at least 2.
        counterfactuals: as for `HNCA`, of every pass.
        guess: likewise.
        choice: likewise.
    """

    samples: int = eqx.field(static=True, default=2)
    counterfactuals: int | None = eqx.field(static=True, default=None)
    guess: Guess = eqx.field(static=True, default="curvature")
    choice: Chosen = eqx.field(static=True, default="learned")

    def __check_init__(self):
        check_options("LeaveOneOutHNCA", self.counterfactuals, self.guess, self.choice)

    def init(self, network: Network, objective: Objective | Component) -> PyTree:
        whole = as_objective(objective)
        reached = roles(network, whole.components)
        return first_guesses(network, whole, reached, self.counterfactuals, self.guess, self.choice)

    def most_counterfactuals(self) -> int | None:
        return self.counterfactuals

    def reevaluations(self, network: Network, objective: Objective | Component) -> int:
        whole = as_objective(objective)
        reached = roles(network, whole.components)
        return self.samples * evaluations(network, whole, reached, self.counterfactuals)

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        require_repeatable(self, objective)

        def centre(_name: str, _place: int, value: Float[Array, " passes *batch"]) -> Float[Array, " passes *batch"]:
            return less_the_others(value)

        some = some_evaluated(self, self.counterfactuals, self.guess, key, state)
        credits = hindsight_credits(network, objective, trace, roles(network, objective.components), centre, some)
        return credits, state if some is None else some.state
