"""What HNCA knows of a layer's units: messages from its children and contrasts of the components that take it."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Array

from hnca.messages import is_reevaluated, message, message_beside_entropy
from hnca.network import Network, Trace
from hnca.objectives import Objective, Role, checked_contrast


class Evidence(NamedTuple):
    """Of one layer.

    Attributes:
        messages: by the child that sends it, each in the shape of the layer's logits.
        contrasts: by the component's place, likewise.
    """

    messages: dict[str, Array]
    contrasts: dict[int, Array]


class Sources(NamedTuple):
    """Where the evidence of one layer comes from.

    Attributes:
        children: the children that send messages.
        components: the places of the components with contrasts.
    """

    children: tuple[str, ...]
    components: tuple[int, ...]


def sources(layer_roles: Sequence[Role]) -> Sources:
    """Returns where the evidence of a layer with these roles comes from."""
    known = [role for role in layer_roles if not role.opaque]
    children = dict.fromkeys(child for role in known for child in role.mediators)
    return Sources(tuple(children), tuple(place for role in known for place in role.direct))


def reevaluated(network: Network, objective: Objective, name: str, all_of_it: Sources) -> Sources:
    """Returns those of a layer's sources that have no closed form, and cost an evaluation a change of a unit."""
    above = network.layers[name]
    children = (child for child in all_of_it.children if is_reevaluated(network.layers[child], above))
    components = (i for i in all_of_it.components if objective.components[i].is_reevaluated(network, name))
    return Sources(tuple(children), tuple(components))


def evidence_of(network: Network, objective: Objective, trace: Trace, name: str, wanted: Sources) -> Evidence:
    """Returns the messages and contrasts, each exact."""
    components = objective.components
    entropies = {components[i].entropy_of for i in wanted.components}
    return Evidence(
        {
            child: (message_beside_entropy if child in entropies else message)(network, trace, child, name)
            for child in wanted.children
        },
        {i: checked_contrast(components[i], network, trace, name) for i in wanted.components},
    )
