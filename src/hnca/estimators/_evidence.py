"""What HNCA knows of a layer's units: messages from its children and contrasts of the components that take it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.messages import SmallSum, contrasts_at_once, is_reevaluated, message, message_beside_entropy
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


def evidence_at_once(
    network: Network, objective: Objective, trace: Trace, wanted: Mapping[str, Sources]
) -> dict[str, Evidence]:
    """Returns of each layer the evidence that is found for several layers side by side; the rest is found by itself.

    Args:
        network: the network.
        objective: the components.
        trace: the forward pass.
        wanted: by layer, where its evidence comes from.
    """
    found = {name: Evidence({}, {}) for name in wanted}
    children = dict.fromkeys(child for of_layer in wanted.values() for child in of_layer.children)
    places = dict.fromkeys(place for of_layer in wanted.values() for place in of_layer.components)
    messages = {child: each for child in children if (each := _log_probability(network, trace, child))}
    components = {i: each for i in places if (each := objective.components[i].at_once(network, trace))}
    asked = [
        *(_only(each, [n for n in wanted if child in wanted[n].children]) for child, each in messages.items()),
        *(_only(each, [n for n in wanted if place in wanted[n].components]) for place, each in components.items()),
    ]
    contrasts = contrasts_at_once(asked, network, trace)
    for child, by_layer in zip(messages, contrasts, strict=False):
        for name, contrast in by_layer.items():
            found[name].messages[child] = contrast
    for place, by_layer in zip(components, contrasts[len(messages) :], strict=True):
        for name, contrast in by_layer.items():
            found[name].contrasts[place] = contrast.astype(network.dtype)
    return found


def _log_probability(network: Network, trace: Trace, child: str) -> SmallSum | None:
    """Returns the log-probability of what a layer has taken; None where messages to its parents are found apart."""
    layer, taken = network.layers[child], trace[child]
    steps = layer.conditional.steps_at_once
    if steps is None:
        return None

    def total(values: Mapping[str, Array]) -> Float[Array, "*batch"]:
        logits = layer.as_logits(layer.conditional.of_values(values, trace.batch_shape, network.dtype))
        return jnp.sum(layer.log_prob(logits, taken), axis=-1)

    return SmallSum(total, layer.conditional.parents, steps)


def _only(each: SmallSum, names: Sequence[str]) -> SmallSum:
    return each._replace(parents=tuple(name for name in each.parents if name in names))


def evidence_of(
    network: Network, objective: Objective, trace: Trace, name: str, wanted: Sources, known: Evidence | None = None
) -> Evidence:
    """Returns the messages and contrasts, each exact.

    Args:
        network: the network.
        objective: the components.
        trace: the forward pass.
        name: whose evidence.
        wanted: where from.
        known: what of it is known already; None for nothing.
    """
    components, known = objective.components, known or Evidence({}, {})
    entropies = {components[i].entropy_of for i in wanted.components}

    def message_of(child: str) -> Array:
        if child in known.messages:
            return known.messages[child]
        return (message_beside_entropy if child in entropies else message)(network, trace, child, name)

    def contrast_of(place: int) -> Array:
        if place in known.contrasts:
            return known.contrasts[place]
        return checked_contrast(components[place], network, trace, name)

    return Evidence(
        {child: message_of(child) for child in wanted.children}, {i: contrast_of(i) for i in wanted.components}
    )
