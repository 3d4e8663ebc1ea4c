"""Gumbel-Rao: the straight-through Gumbel-softmax estimator, its noise averaged out given the samples."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca._options import is_count
from hnca.estimators._pathwise import PathwiseEstimator
from hnca.estimators._relaxation import Relaxation
from hnca.estimators._requirements import Temperature, require_key, require_temperature, usable_temperature


class GumbelRao(PathwiseEstimator):
    r"""`StraightThroughGumbelSoftmax` whose derivative is a mean over many draws of the noise that made the samples.

    **Formula.** With `z_m = softmax((a + g_m) / temperature)` (for a Bernoulli unit `sigmoid((a + l_m) / temperature)`)
    and the noise `g_1 ... g_M` of M = `draws` drawn from its posterior given the unit's sample, the unit's derivative
    is `1/M sum_m (diag(z_m) - z_m z_m^T) / temperature`.

    **Bias.** Biased, as `StraightThroughGumbelSoftmax`, whose expectation it has; of its variance it leaves out what
    the noise adds to the samples'. For one Bernoulli unit at `a = 0`, `f = x` and temperature 1 it expects 1/6 where
    the gradient is 1/4. **Cost.** One forward pass, one evaluation of the objective and one backpropagation through it;
    `draws` softmaxes of each layer, and nothing else, for the noise. Needs an objective that can be differentiated by
    the values of the units.

    Example:
        ```python
        estimator = hnca.GumbelRao(temperature=0.5, draws=10)
        bound, estimate = hnca.estimate(estimator, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Paulus, Maddison and Krause, *Rao-Blackwellizing the straight-through Gumbel-softmax gradient
    estimator*, 2021.

    Attributes:
        temperature: above 0; the lower, the closer to discrete. A number, or an array `[]`, which can be annealed as
            `GumbelSoftmax`'s.
        draws: M, at least 1.
    """

    temperature: Temperature = 0.5
    draws: int = eqx.field(static=True, default=10)

    def __check_init__(self):
        require_temperature(self, self.temperature)
        if not is_count(self.draws, 1):
            raise ValueError(f"GumbelRao: draws={self.draws!r}; expected at least 1, such as 10.")

    def derivative(
        self,
        relaxation: Relaxation,
        key: Key[Array, ""] | None,
        logits: Float[Array, "*logits"],
        point: Float[Array, "*logits"],
        change: Float[Array, "*logits"],
    ) -> Float[Array, "*logits"]:
        temperature = usable_temperature(self.temperature, logits.dtype)

        def one(key: Key[Array, ""]) -> Float[Array, "*logits"]:
            scores = relaxation.scores_given(relaxation.noise(key, logits), logits, point)
            return relaxation.along(relaxation.soft(scores / temperature), change) / temperature

        keys = jax.random.split(require_key(self, key, "the noise of the samples is"), self.draws)
        return jnp.mean(jax.vmap(one)(keys), axis=0)
