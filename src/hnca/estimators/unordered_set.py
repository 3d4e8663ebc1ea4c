"""The unordered set estimator: samples without replacement, each with the others as its baseline."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca._options import is_count
from hnca.estimators._cost import Cost
from hnca.estimators._downstream import over_logits
from hnca.estimators._resampling import ResamplingEstimator
from hnca.estimators._without_replacement import (
    joint_log_probs,
    joint_values,
    others_without_replacement,
    place_of,
    shares_of,
    values_at,
)
from hnca.network import Network, Trace
from hnca.objectives import Objective

_MOST = 8


class UnorderedSet(ResamplingEstimator):
    r"""REINFORCE of several different values of each layer, drawn without replacement: for one large categorical unit.

    **Formula.** The trace's value of a layer is the first of a set S of `samples` values, each drawn as if those before
    it could not be, with everything after the layer drawn anew; `f_s` is the sum of the components the layer can
    change. The credit is `sum_(s in S) w_s score(s) (f_s - sum_(t in S) b_st f_t)`, where `w_s` is the probability that
    s was drawn first, given the set, and `b_st` that of t among the others, times `1 - p_s`, with `b_ss = p_s`. In
    whatever order the set was drawn, the credit is the same; of all values there are it is the local expectation, and
    of values that are all unlikely it is `MultiSampleLeaveOneOut`.

    Units of one layer count as one, whose values are all that they can take together: of several units there may be
    65,536 at most, of a single one any number.

    **Bias.** None. **Cost.** One forward pass, and for every layer `samples - 1` more of what comes after it:
    quadratic in depth; and the Gumbel noise of all its values. Needs an objective that can be evaluated more than once.

    Example:
        ```python
        estimator = hnca.UnorderedSet(samples=4)
        value, estimate = hnca.estimate(estimator, policy, objective, {"text": tokens}, key=key)
        ```

    **Reference.** Kool, van Hoof and Welling, *Estimating gradients for discrete random variables by sampling without
    replacement*, 2020.

    Attributes:
        samples: from 2 to 8; a layer with fewer values has all of them.

    Raises:
        ValueError: for other samples; when called, for a layer of several units with too many joint values, for one
            that is neither Bernoulli nor categorical, for a reward that can be observed only once, and for no key.
    """

    samples: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        if not is_count(self.samples, 2) or self.samples > _MOST:
            raise ValueError(
                f"UnorderedSet: samples={self.samples!r}; expected from 2 to {_MOST}, as all orders in which they may "
                "have been drawn are counted; use MultiSampleLeaveOneOut for more."
            )

    def cost(self, network: Network) -> Cost:
        more = {name: min(self.samples, joint_values(network.layers[name])) - 1 for name in network.order}
        drawn = sum(count * (1 + len(network.after(name))) for name, count in more.items())
        return Cost(1 + drawn / len(network.order), 1 + sum(more.values()))

    def credit_layer(
        self,
        network: Network,
        objective: Objective,
        trace: Trace,
        name: str,
        members: tuple[int, ...],
        value: Float[Array, "*batch"],
        key: Key[Array, ""],
    ) -> Float[Array, "*logits"]:
        layer, logits = network.layers[name], trace.logits[name]
        log_probs = joint_log_probs(self, name, layer, logits)
        more = min(self.samples, joint_values(layer)) - 1
        unit_key, after_key = jax.random.split(key)
        first = place_of(layer, trace[name])
        others = others_without_replacement(unit_key, log_probs, first, more).astype(first.dtype)

        def another(after_key: Key[Array, ""], values: Array) -> Float[Array, "*batch"]:
            return objective.value_of(members, network, network.resample(after_key, trace, name, values))

        taken = jax.vmap(lambda place: values_at(layer, place, logits))(others)
        values = jnp.concatenate([value[None], jax.vmap(another)(jax.random.split(after_key, more), taken)])
        share = shares_of(log_probs, jnp.concatenate([first[None], others]))
        # What cannot be has no weight, whatever it would have been worth.
        values = jnp.where(share.weight == 0, value[None], values) - value[None]
        worth = share.weight * (values - jnp.sum(share.baseline * values[None], axis=1))
        # One by one, so that no array holds the scores of all of them.
        credit = layer.score(logits, trace[name]) * over_logits(worth[0], logits)
        for point, one in zip(taken, worth[1:], strict=True):
            credit += layer.score(logits, point) * over_logits(one, logits)
        return credit
