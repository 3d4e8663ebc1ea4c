"""REINFORCE: the score of each layer times everything that comes after it."""

from jaxtyping import Array, Key, PyTree

from hnca.baselines import Baseline
from hnca.estimators._base import Credits, Estimator
from hnca.estimators._centring import centred, first_state, inputs_seen
from hnca.estimators._downstream import downstream_values, scored
from hnca.estimators._requirements import require_instance
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective


class REINFORCE(Estimator):
    r"""The likelihood-ratio estimator.

    **Formula.** Credit on the logits of a layer: `dlog pi(x)/dlogits * (sum of the components the layer can change
    - baseline)`; for a Bernoulli unit `(x - p)(f - b)`.

    **Bias.** None. **Cost.** One forward pass, one evaluation of the objective.

    Example:
        ```python
        estimate = hnca.REINFORCE(baseline=hnca.RunningMean(0.99))(network, hnca.Reward("action", reward), trace)
        ```

    **Reference.** Williams, *Simple statistical gradient-following algorithms for connectionist reinforcement
    learning*, 1992; Young 2022, Section 1.

    Attributes:
        baseline: one for every layer, or None.
    """

    baseline: Baseline | None = None

    def __check_init__(self):
        require_instance("REINFORCE", "baseline", self.baseline, Baseline, "hnca.RunningMean()")

    def init(self, network: Network, objective: Objective | Component) -> PyTree:
        if self.baseline is None:
            return {}
        return {name: first_state(self.baseline, network) for name in network.order}

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        credits, new_state = {}, dict(state)
        inputs = inputs_seen(network, trace)
        for name, value in downstream_values(network, objective, trace).items():
            if value is not None and name in state:
                value, new_state[name] = centred(self.baseline, state[name], inputs, value)
            credits[name] = scored(network, trace, name, value)
        return credits, new_state
