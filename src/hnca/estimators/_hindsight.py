"""The HNCA rule: credits from messages, for components whose mediated sums somebody centres."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.estimators._base import Credits
from hnca.estimators._counterfactuals import Corrected, SomeEvaluated
from hnca.estimators._downstream import over_logits
from hnca.estimators._evidence import Evidence, evidence_at_once, evidence_of, sources
from hnca.network import Network, Trace
from hnca.objectives import Objective, Role

Centre = Callable[[str, int, Float[Array, "*batch"]], Float[Array, "*batch"]]
"""Takes a layer, the place of one of its roles and the sum of the components in it, and returns the sum less a
baseline."""

_MANY, _SMALL = 3, 2**16
"""From how many roles on, and up to how many numbers of logits in all, roles are credited side by side."""


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
    guessed: dict[str, Corrected] = {}
    if some is not None:
        found = {name: some.evidence(network, objective, trace, name, reached[name]) for name in reached}
        guessed = {name: corrected for name, corrected in found.items() if corrected is not None}
    wanted = {name: sources(reached[name]) for name in reached if name not in guessed}
    known = evidence_at_once(network, objective, trace, wanted)
    for name, layer_roles in reached.items():
        credited = []
        for place, role in enumerate(layer_roles):
            value = sum((values[i] for i in role.members[1:]), values[role.members[0]])
            if role.opaque or role.mediators:
                value = centre(name, place, value)
            credited.append((role, value))
        corrected = guessed.get(name)
        if some is None or corrected is None:
            evidence = evidence_of(network, objective, trace, name, wanted[name], known[name])
            credits[name] = _credit_of_roles(network, trace, name, credited, evidence)
            continue
        credits[name] = jnp.zeros_like(trace.logits[name])
        for role, value in credited:
            credits[name] += corrected.credit(role, partial(_role_credit, network, trace, name, role, value))
        some.learn(network, trace, name, corrected)
    return credits


def _credit_of_roles(
    network: Network, trace: Trace, name: str, credited: Sequence[tuple[Role, Array]], evidence: Evidence
) -> Float[Array, "*logits"]:
    """Returns the credit of one layer, given the sum of the components in each role.

    Roles that are many, as in a loop written out, are credited side by side where that is small: less to compile.
    """
    layer, logits, taken = network.layers[name], trace.logits[name], trace[name]
    credit, alike = jnp.zeros_like(logits), dict[object, list[tuple[Array | None, ...]]]()
    apart = len(credited) < _MANY or len(credited) * logits.size > _SMALL
    for role, value in credited:
        if apart or role.opaque:
            credit += _role_credit(network, trace, name, role, value, evidence)
        else:
            operands = (_message(role, evidence), value, _contrast(role, evidence))
            dtypes = tuple(operand if operand is None else operand.dtype for operand in operands)
            alike.setdefault(dtypes, []).append(operands)
    for each in alike.values():
        credit_of = partial(layer.credit, logits, taken)
        credit += jnp.sum(jax.vmap(credit_of)(*jax.tree.map(lambda *arrays: jnp.stack(arrays), *each)), axis=0)
    return credit


def _role_credit(
    network: Network, trace: Trace, name: str, role: Role, value: Float[Array, "*batch"], evidence: Evidence
) -> Float[Array, "*logits"]:
    """Returns the credit of one layer for the components that share one role."""
    layer, logits, taken = network.layers[name], trace.logits[name], trace[name]
    if role.opaque:
        return layer.score(logits, taken) * over_logits(value, logits)
    return layer.credit(logits, taken, _message(role, evidence), value, _contrast(role, evidence))


def _message(role: Role, evidence: Evidence) -> Float[Array, "*logits"] | None:
    """Returns the sum of the messages from the children that mediate; None where none does."""
    messages = [evidence.messages[child] for child in role.mediators]
    return sum(messages[1:], messages[0]) if messages else None


def _contrast(role: Role, evidence: Evidence) -> Float[Array, "*logits"] | None:
    """Returns the sum of the contrasts of the components that take the layer itself; None where none does."""
    contrasts = [evidence.contrasts[i] for i in role.direct]
    return sum(contrasts[1:], contrasts[0]) if contrasts else None
