"""REINFORCE with a second sample as its baseline."""

from jaxtyping import Array, Float, Key

from hnca.estimators._paired import PairedEstimator, Second
from hnca.units import Layer


class LeaveOneOut(PairedEstimator):
    r"""The two-sample REINFORCE leave-one-out estimator, resampling from each layer on.

    **Formula.** With a second, independent sample `x'` of a layer given its parents, and of everything after it, the
    credit is `1/2 (s(x) - s(x')) (f - f')`, `s` being the score; for a Bernoulli unit `1/2 (x - x') (f - f')`.
    `MultiSampleLeaveOneOut` is the same with more samples.

    **Bias.** None. **Cost.** One forward pass, and for every layer one more of what comes after it and one evaluation
    of the objective: quadratic in depth. Needs an objective that can be evaluated twice.

    Example:
        ```python
        bound, estimate = hnca.estimate(hnca.LeaveOneOut(), encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Young 2022, Eq 10; Kool, van Hoof and Welling, *Buy 4 REINFORCE samples, get a baseline for free!*,
    2019.
    """

    def second(self, layer: Layer, key: Key[Array, ""], logits: Float[Array, "*logits"], values: Array) -> Second:
        other = layer.sample(key, logits)
        return Second(other, (layer.score(logits, values) - layer.score(logits, other)) / 2)
