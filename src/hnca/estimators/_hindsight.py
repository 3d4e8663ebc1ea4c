"""The HNCA rule: credits from messages, for components whose mediated sums somebody centres."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.estimators._base import Credits
from hnca.estimators._downstream import over_logits
from hnca.messages import message, message_beside_entropy
from hnca.network import Network, Trace
from hnca.objectives import Objective, Role, checked_contrast

Centre = Callable[[str, int, Float[Array, "*batch"]], Float[Array, "*batch"]]
"""Takes a layer, the place of one of its roles and the sum of the components in it, and returns the sum less a
baseline."""


def hindsight_credits(
    network: Network, objective: Objective, trace: Trace, reached: Mapping[str, tuple[Role, ...]], centre: Centre
) -> Credits:
    """Returns the credit of every layer (Young 2022, Eqs 3 and 5).

    Args:
        network: the network.
        objective: the components.
        trace: the forward pass.
        reached: how every layer reaches the components.
        centre: called once for every role that is mediated or opaque; elsewhere a baseline would cancel.
    """
    values = objective.values(network, trace)
    credits = {}
    for name, layer_roles in reached.items():
        credit = jnp.zeros_like(trace.logits[name])
        entropies = _entropies(objective, layer_roles)
        sent = {
            child: (message_beside_entropy if child in entropies else message)(network, trace, child, name)
            for role in layer_roles
            if not role.opaque
            for child in role.mediators
        }
        for place, role in enumerate(layer_roles):
            value = sum((values[i] for i in role.members[1:]), values[role.members[0]])
            if role.opaque or role.mediators:
                value = centre(name, place, value)
            credit += _role_credit(network, objective, trace, name, role, value, sent)
        credits[name] = credit
    return credits


def _entropies(objective: Objective, layer_roles: tuple[Role, ...]) -> set[str]:
    """Returns the layers whose analytic entropy is a direct component of the layer with these roles."""
    direct = [objective.components[i] for role in layer_roles for i in role.direct]
    return {component.entropy_of for component in direct if component.entropy_of is not None}


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
    contrasts = [checked_contrast(objective.components[i], network, trace, name) for i in role.direct]
    contrast = sum(contrasts[1:], contrasts[0]) if contrasts else None
    total = sum((sent[child] for child in role.mediators[1:]), sent[role.mediators[0]]) if role.mediators else None
    return layer.credit(logits, taken, total, value, contrast)
