"""What HNCA knows of a layer's units: messages from its children and contrasts of the components that take it."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Array

from hnca.messages import contrasts_at_once, is_reevaluated, message, message_beside_entropy, total_of
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


class AtOnce:
    """What is evaluated for the units of several layers side by side, computed when first asked for.

    Attributes:
        network: the network.
        objective: the components.
        trace: the forward pass.
    """

    def __init__(self, network: Network, objective: Objective, trace: Trace):
        """Args: see the class."""
        self.network, self.objective, self.trace = network, objective, trace
        self._messages: dict[str, dict[str, Array]] = {}
        self._contrasts: dict[int, dict[str, Array]] = {}  # of a component that is found layer by layer, nothing

    def message(self, child: str, name: str) -> Array | None:
        """Returns a child's message to a layer; None where it is found by itself."""
        network, trace = self.network, self.trace
        layer = network.layers[child]
        if not layer.conditional.at_once:
            return None
        if child not in self._messages:
            taken = trace[child]
            total = total_of(layer, lambda logits: layer.log_prob(logits, taken), network, trace)
            self._messages[child] = contrasts_at_once(total, network, trace, layer.conditional.parents)
        return self._messages[child][name]

    def contrast(self, place: int, name: str) -> Array | None:
        """Returns the contrast of a component, by its place, for a layer; None where it is found by itself."""
        component, network, trace = self.objective.components[place], self.network, self.trace
        if place not in self._contrasts:
            function = component.at_once(network, trace)
            parents = [layer for layer in component.arguments if component.is_reevaluated(network, layer)]
            found = {} if function is None or not parents else contrasts_at_once(function, network, trace, parents)
            self._contrasts[place] = {layer: array.astype(network.dtype) for layer, array in found.items()}
        return self._contrasts[place].get(name)


def evidence_of(
    network: Network, objective: Objective, trace: Trace, name: str, wanted: Sources, at_once: AtOnce | None = None
) -> Evidence:
    """Returns the messages and contrasts, each exact.

    Args:
        network: the network.
        objective: the components.
        trace: the forward pass.
        name: whose evidence.
        wanted: where from.
        at_once: what is computed for several layers together; None for each by itself.
    """
    components = objective.components
    entropies = {components[i].entropy_of for i in wanted.components}

    def message_of(child: str) -> Array:
        found = None if at_once is None else at_once.message(child, name)
        alone = message_beside_entropy if child in entropies else message
        return alone(network, trace, child, name) if found is None else found

    def contrast_of(place: int) -> Array:
        found = None if at_once is None else at_once.contrast(place, name)
        return checked_contrast(components[place], network, trace, name) if found is None else found

    return Evidence(
        {child: message_of(child) for child in wanted.children}, {i: contrast_of(i) for i in wanted.components}
    )
