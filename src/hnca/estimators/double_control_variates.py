"""Leave-one-out with two control variates, both of them the other passes' linear expansion."""

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca._options import is_number
from hnca._precision import at_least_float32
from hnca.estimators._base import Credits
from hnca.estimators._downstream import downstream_values, over_logits
from hnca.estimators._expansion import inner
from hnca.estimators._passes import IndependentPassesEstimator, less_the_others, mean_of_the_others
from hnca.estimators._relaxation import relaxation_of
from hnca.estimators._requirements import require_differentiable
from hnca.estimators._slopes import expansion_of, slopes_of
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective


class Regression(NamedTuple):
    """Running sums of a regression through the origin, of a layer's plain credits on its control variate.

    Attributes:
        product: of the two.
        square: of the control variate.
    """

    product: Float[Array, ""]
    square: Float[Array, ""]


class DoubleControlVariates(IndependentPassesEstimator):
    r"""The leave-one-out estimator over independent passes, less what a linear expansion knows of each pass.

    **Formula.** In pass k of K = `samples` a layer has the point `x_k` (0 or 1, or one-hot), the mean `p_k` given its
    parents, and `f_k`, the sum of the components it can change; `g_k` is the mean, over the *other* passes, of the
    derivative of `f` by the layer's point, through all that comes after it. With `s_k = x_k - p_k`, `c_k` the scale
    times `<g_k, s_k>`, of the layer itself and of all others (by their points and means), and `V_k` the covariance of
    `x_k` (`p (1 - p)` for a Bernoulli unit) the layer's credit in the pass is `s_k [(f_k - c_k) - 1/(K-1) sum_{j != k}
    (f_j - c_j)] + scale V_k g_k`; the gradient is the mean of the passes'.

    The scale is each layer's own: that of the least mean square of the credits over the calls before, which, the
    credits being linear in it, is a ratio of two running means.

    **Bias.** None, at any scale: no `g_k` depends on `x_k`, and so what the first control variate takes is put back,
    and all else has the mean 0. **Cost.** `samples` forward passes and evaluations of the objective, whatever the
    depth, and for each layer one backpropagation through them. Needs an objective that can be differentiated by the
    values of the units.

    Example:
        ```python
        method = hnca.DoubleControlVariates(samples=2)
        bound, estimate = hnca.estimate(method, encoder, objective, {"image": images}, key=key)
        bound, estimate = hnca.estimate(method, encoder, objective, inputs, key=key2, state=estimate.state)
        ```

    **Reference.** Titsias and Shi, *Double control variates for gradient estimation in discrete latent variable
    models*, 2022, for one layer, with one scale that is adapted by gradient steps.

    Attributes:
        samples: K, at least 2.
        scale: of the control variates at first; 0 is `IndependentLeaveOneOut`.
        decay: of the running means, between 0 and 1; 1 leaves the scale as it is.

    Raises:
        ValueError: for a value outside these; when called, for a layer that is neither Bernoulli nor categorical, for a
            reward that can be observed only once, and for no key.
    """

    samples: int = eqx.field(static=True, default=2)
    scale: float = eqx.field(static=True, default=1.0)
    decay: float = eqx.field(static=True, default=0.9)

    def __check_init__(self):
        if not is_number(self.scale) or not math.isfinite(self.scale):
            raise ValueError(f"DoubleControlVariates: scale={self.scale!r}; expected a finite number, such as 1.0.")
        if not is_number(self.decay) or not 0 <= self.decay <= 1:
            raise ValueError(f"DoubleControlVariates: decay={self.decay!r}; expected a number from 0 to 1.")

    def init(self, network: Network, objective: Objective | Component) -> dict[str, Regression]:
        dtype = at_least_float32(network.dtype)
        return {name: Regression(jnp.zeros((), dtype), jnp.zeros((), dtype)) for name in network.order}

    def credit(
        self,
        network: Network,
        objective: Objective,
        trace: Trace,
        key: Key[Array, ""] | None,
        state: dict[str, Regression],
    ) -> tuple[Credits, dict[str, Regression]]:
        require_differentiable(self, network, objective)
        slopes = slopes_of(self, network, objective, trace)
        credits, new_state = {}, dict(state)
        for name, value in downstream_values(network, objective, trace).items():
            layer, logits = network.layers[name], trace.logits[name]
            if value is None:
                credits[name] = jnp.zeros_like(logits)
                continue
            score, slope = layer.score(logits, trace[name]), mean_of_the_others(slopes[name][name])
            relaxation, elsewhere = relaxation_of(self, layer), expansion_of(network, trace, slopes[name], but=name)
            plain = score * over_logits(less_the_others(value), logits)
            known = score * over_logits(less_the_others(inner(slope, score, trace) + elsewhere), logits)
            control = known - relaxation.along(relaxation.soft(logits), slope)
            # The scale as it was: one that these very samples have made would bias the credits.
            credits[name] = plain - self._scale(state[name]).astype(logits.dtype) * control
            new_state[name] = self._after(state[name], plain, control)
        return credits, new_state

    def _scale(self, fit: Regression) -> Float[Array, ""]:
        seen = fit.square > 0
        return jnp.where(seen, fit.product / jnp.where(seen, fit.square, 1), self.scale)

    def _after(self, fit: Regression, plain: Array, control: Array) -> Regression:
        if plain.size == 0:
            return fit
        # Of the mean over passes, which is what makes the gradient.
        ours, theirs = (jnp.mean(credit.astype(fit.square.dtype), axis=0) for credit in (plain, control))
        product, square = jnp.mean(ours * theirs), jnp.mean(theirs * theirs)
        old, new = self.decay, 1 - self.decay
        return Regression(old * fit.product + new * product, old * fit.square + new * square)
