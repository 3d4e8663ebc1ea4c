"""Hindsight Network Credit Assignment: each unit is credited by what its children say of it in hindsight."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.baselines import Baseline
from hnca.estimators._base import Credits, Estimator
from hnca.estimators._centring import centred
from hnca.estimators._downstream import over_logits
from hnca.messages import message
from hnca.network import Network, Trace
from hnca.objectives import Entropy, Objective, Role, roles


class HNCA(Estimator):
    r"""The estimator of the paper, for observed rewards and known functions alike.

    **Formula.** For a layer, the components reached through the children `S` and their summed messages `Lambda_S`
    give the posterior `q = sigmoid(a + Lambda_S)` of each unit beside its prior `p = sigmoid(a)` (for a categorical
    unit a softmax). The credit on a Bernoulli logit is

    - `(q - p) (f - b)` where the layer reaches `f` through `S` alone (Eq 3);
    - `p (1 - p) (f(1) - f(0))` where `f` takes the layer as an argument and nothing mediates;
    - `(1 - p) q (f(1) - b) - p (1 - q) (f(0) - b)` where both hold (Eq 5);
    - `(x - p) (f - b)` where `f` takes the layer as an argument and has no counterfactual (REINFORCE).

    **Bias.** None. **Variance.** Never above REINFORCE's without baselines (Theorem 1, Appendix I).
    **Cost.** One forward pass, one evaluation of the objective, one message an edge of the network: linear in depth.

    Example:
        ```python
        estimate = hnca.HNCA()(network, hnca.Reward("action", reward), trace)
        ```

    **Reference.** Young, *Hindsight Network Credit Assignment: Efficient Credit Assignment in Networks of Discrete
    Stochastic Units*, AAAI 2022, Eqs 2, 3, 5 and Algorithms 1 to 3.

    Attributes:
        baseline: one for every layer and set of mediating children, or None.
        prune_children: see `hnca.objectives.roles`; False is an ablation of the paper's Appendix K, unbiased too.
        prune_upstream: likewise.
    """

    baseline: Baseline | None = None
    prune_children: bool = eqx.field(static=True, default=True)
    prune_upstream: bool = eqx.field(static=True, default=True)

    def init(self, network: Network, objective: Objective) -> PyTree:
        if self.baseline is None:
            return {}
        return {
            name: tuple(self.baseline.init(network.dtype) for _ in layer_roles)
            for name, layer_roles in self._roles(network, objective).items()
        }

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        values = [component.value(network, trace) for component in objective.components]
        credits, new_state = {}, {}
        for name, layer_roles in self._roles(network, objective).items():
            credit = jnp.zeros_like(trace.logits[name])
            states = list(state.get(name, (None,) * len(layer_roles)))
            entropies = _entropies(objective, layer_roles)
            sent = {
                child: message(network, trace, child, name, beside_entropy=child in entropies)
                for role in layer_roles
                if not role.opaque
                for child in role.mediators
            }
            for place, role in enumerate(layer_roles):
                value = sum((values[i] for i in role.members[1:]), values[role.members[0]])
                if role.opaque or role.mediators:
                    value, states[place] = centred(self.baseline, states[place], value)
                credit += _role_credit(network, objective, trace, name, role, value, sent)
            credits[name] = credit
            if self.baseline is not None:
                new_state[name] = tuple(states)
        return credits, new_state

    def _roles(self, network: Network, objective: Objective) -> dict[str, tuple[Role, ...]]:
        return roles(
            network, objective.components, prune_children=self.prune_children, prune_upstream=self.prune_upstream
        )


def _entropies(objective: Objective, layer_roles: tuple[Role, ...]) -> set[str]:
    """Returns the layers whose analytic entropy is a direct component of the layer with these roles."""
    direct = [objective.components[i] for role in layer_roles for i in role.direct]
    return {component.layer for component in direct if isinstance(component, Entropy)}


def _role_credit(
    network: Network,
    objective: Objective,
    trace: Trace,
    name: str,
    role: Role,
    value: Float[Array, "*batch"],
    sent: dict[str, Array],
) -> Float[Array, "*logits"]:
    """Returns the credit of one layer for the components that share one role."""
    layer, logits, taken = network.layers[name], trace.logits[name], trace[name]
    if role.opaque:
        return layer.score(logits, taken) * over_logits(value, logits)
    contrasts = [objective.components[i].contrast(network, trace, name) for i in role.direct]
    contrast = sum(contrasts[1:], contrasts[0]) if contrasts else None
    total = sum((sent[child] for child in role.mediators[1:]), sent[role.mediators[0]]) if role.mediators else None
    return layer.credit(logits, taken, total, value, contrast)
