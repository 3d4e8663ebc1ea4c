"""The HNCA rule: credits from messages, for components whose mediated sums somebody centres."""

from collections.abc import Callable, Mapping
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.estimators._base import Credits
from hnca.estimators._counterfactuals import SomeEvaluated
from hnca.estimators._downstream import over_logits
from hnca.estimators._evidence import AtOnce, Evidence, evidence_of, sources
from hnca.network import Network, Trace
from hnca.objectives import Objective, Role

Centre = Callable[[str, int, Float[Array, "*batch"]], Float[Array, "*batch"]]
"""Takes a layer, the place of one of its roles and the sum of the components in it, and returns the sum less a
baseline."""


def hindsight_credits(
    network: Network,
    objective: Objective,
    trace: Trace,
    reached: Mapping[str, tuple[Role, ...]],
    centre: Centre,
    some: SomeEvaluated | None = None,
) -> Credits:
    """Returns the credit of every layer (Young 2022, Eqs 3 and 5).

    Args:
        network: the network.
        objective: the components.
        trace: the forward pass.
        reached: how every layer reaches the components.
        centre: called once for every role that is mediated or opaque; elsewhere a baseline would cancel.
        some: evaluates some counterfactuals where there is no closed form; None for all.
    """
    values = objective.values(network, trace)
    credits = {}
    at_once = AtOnce(network, objective, trace)
    for name, layer_roles in reached.items():
        credit = jnp.zeros_like(trace.logits[name])
        corrected = None if some is None else some.evidence(network, objective, trace, name, layer_roles)
        if corrected is None:
            exact = evidence_of(network, objective, trace, name, sources(layer_roles), at_once)
        for place, role in enumerate(layer_roles):
            value = sum((values[i] for i in role.members[1:]), values[role.members[0]])
            if role.opaque or role.mediators:
                value = centre(name, place, value)
            credit_of = partial(_role_credit, network, trace, name, role, value)
            credit += credit_of(exact) if corrected is None else corrected.credit(role, credit_of)
        credits[name] = credit
        if some is not None and corrected is not None:
            some.learn(network, trace, name, corrected)
    return credits


def _role_credit(
    network: Network, trace: Trace, name: str, role: Role, value: Float[Array, "*batch"], evidence: Evidence
) -> Float[Array, "*logits"]:
    """Returns the credit of one layer for the components that share one role."""
    layer, logits, taken = network.layers[name], trace.logits[name], trace[name]
    if role.opaque:
        return layer.score(logits, taken) * over_logits(value, logits)
    contrasts = [evidence.contrasts[i] for i in role.direct]
    contrast = sum(contrasts[1:], contrasts[0]) if contrasts else None
    messages = [evidence.messages[child] for child in role.mediators]
    total = sum(messages[1:], messages[0]) if messages else None
    return layer.credit(logits, taken, total, value, contrast)
