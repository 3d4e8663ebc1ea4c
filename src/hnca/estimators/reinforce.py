"""REINFORCE: the score of each layer times everything that comes after it."""

from jaxtyping import Array, Key, PyTree

from hnca.baselines import Baseline
from hnca.estimators._base import Credits, Estimator
from hnca.estimators._centring import centred, over_logits
from hnca.mediation import roles
from hnca.network import Network, Trace
from hnca.objectives import Objective


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

    def init(self, network: Network, objective: Objective) -> PyTree:
        if self.baseline is None:
            return {}
        return {name: self.baseline.init(network.dtype) for name in network.order}

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        every_role = roles(network, objective)
        values = [component.value(network, trace) for component in objective.components]
        credits, new_state = {}, dict(state)
        for name, layer_roles in every_role.items():
            layer, logits = network.layers[name], trace.logits[name]
            reached = [values[i] for role in layer_roles for i in role.components]
            score = layer.score(logits, trace[name])
            if not reached:
                credits[name] = score * 0
                continue
            value, layer_state = centred(self.baseline, state.get(name), sum(reached[1:], reached[0]))
            credits[name] = score * over_logits(value, logits)
            if layer_state is not None:
                new_state[name] = layer_state
        return credits, new_state
