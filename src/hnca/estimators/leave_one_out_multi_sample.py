"""REINFORCE with several further samples of each layer, each of which is the others' baseline."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from hnca.estimators._several import SeveralSamplesEstimator
from hnca.units import Layer


class MultiSampleLeaveOneOut(SeveralSamplesEstimator):
    r"""The leave-one-out estimator with `samples` samples of each layer, resampling from the layer on.

    **Formula.** `x_1` is the layer's sample in the trace, `x_2 ... x_K` are others of the same logits, each with
    everything after it drawn anew, and `f_k` the components the layer can change. With `s` the score the credit is
    `1/K sum_k s(x_k) (f_k - 1/(K-1) sum_{j != k} f_j)`. With two samples it is `LeaveOneOut`.

    **Bias.** None. **Cost.** One forward pass, and for every layer `samples - 1` more of what comes after it:
    quadratic in depth. Needs an objective that can be evaluated more than once.

    Example:
        ```python
        estimator = hnca.MultiSampleLeaveOneOut(samples=4)
        bound, estimate = hnca.estimate(estimator, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Kool, van Hoof and Welling, *Buy 4 REINFORCE samples, get a baseline for free!*, 2019; Young 2022,
    Eq 10, with two.

    Attributes:
        samples: K, at least 2.
    """

    samples: int = eqx.field(static=True, default=4)

    def others(
        self, layer: Layer, keys: Key[Array, " others"], logits: Float[Array, "*logits"], values: Array
    ) -> Array:
        return jax.vmap(lambda key: layer.sample(key, logits))(keys)
