"""REINFORCE with further, wholly independent forward passes as its baseline."""

import equinox as eqx
from jaxtyping import Array, Key, PyTree

from hnca.estimators._base import Credits
from hnca.estimators._downstream import downstream_values, scored
from hnca.estimators._passes import IndependentPassesEstimator, less_the_others
from hnca.estimators._requirements import require_repeatable
from hnca.network import Network, Trace
from hnca.objectives import Objective


class IndependentLeaveOneOut(IndependentPassesEstimator):
    r"""The leave-one-out estimator over independent passes through the whole network, two unless asked for more.

    **Formula.** With `s` the score, and `f_k` the sum of the components that a layer can change, in pass k of
    K = `samples`, the layer's credit in that pass is `s(x_k) (f_k - 1/(K-1) sum_{j != k} f_j)`; the gradient is the
    mean of the passes'.

    **Bias.** None. **Cost.** `samples` forward passes and evaluations of the objective, whatever the depth: linear in
    depth, where `LeaveOneOut` and `MultiSampleLeaveOneOut` are quadratic. Its variance is higher for all but the first
    layer, as the other passes differ in the layers before it too. Needs an objective that can be evaluated more than
    once.

    Example:
        ```python
        estimator = hnca.IndependentLeaveOneOut(samples=4)
        bound, estimate = hnca.estimate(estimator, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Kool, van Hoof and Welling, *Buy 4 REINFORCE samples, get a baseline for free!*, 2019; Young 2022,
    Appendix J, with two.

    Attributes:
        samples: K, at least 2.
    """

    samples: int = eqx.field(static=True, default=2)

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        require_repeatable(self, objective)
        credits = {}
        for name, value in downstream_values(network, objective, trace).items():
            credits[name] = scored(network, trace, name, None if value is None else less_the_others(value))
        return credits, state
