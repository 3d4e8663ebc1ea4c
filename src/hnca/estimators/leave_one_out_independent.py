"""REINFORCE with a second, wholly independent forward pass as its baseline."""

from jaxtyping import Array, Key, PyTree

from hnca.estimators._base import Credits, Estimator, Passes
from hnca.estimators._cost import Cost, whole_passes
from hnca.estimators._downstream import downstream_values, scored
from hnca.estimators._passes import with_others
from hnca.estimators._repeatable import require_repeatable
from hnca.network import Network, Trace
from hnca.objectives import Objective


class IndependentLeaveOneOut(Estimator):
    r"""The leave-one-out estimator over two independent passes through the whole network.

    **Formula.** With `f` and `f'` the values of the two passes and `s` the score, a layer's credit is `s(x) (f - f')`
    in the first and `s(x') (f' - f)` in the second; the gradient is the mean of both passes'. `f` is the sum of the
    components that the layer can change.

    **Bias.** None. **Cost.** Two forward passes and two evaluations of the objective, whatever the depth: linear in
    depth, where `LeaveOneOut` is quadratic. Its variance is higher for all but the first layer, as the second pass
    differs in the layers before it too. Needs an objective that can be evaluated twice.

    Example:
        ```python
        estimator = hnca.IndependentLeaveOneOut()
        bound, estimate = hnca.value_and_grad(estimator, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Young 2022, Appendix J; Kool, van Hoof and Welling, *Buy 4 REINFORCE samples, get a baseline for
    free!*, 2019.
    """

    def init(self, network: Network, objective: Objective) -> PyTree:
        return {}

    def passes(self, network: Network, trace: Trace, key: Key[Array, ""] | None) -> Passes:
        return with_others(self, network, trace, key, 2)

    def cost(self, network: Network) -> Cost:
        return whole_passes(2)

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        require_repeatable(self, objective)
        credits = {}
        for name, value in downstream_values(network, objective, trace).items():
            credits[name] = scored(network, trace, name, None if value is None else value - value[::-1])
        return credits, state
