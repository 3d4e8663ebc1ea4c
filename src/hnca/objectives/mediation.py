"""Which components a layer is credited for, and through which children."""

from collections.abc import Sequence
from typing import NamedTuple

from hnca._graph import mediators_of
from hnca.network import Network
from hnca.objectives._base import Component


class Role(NamedTuple):
    """The components that reach one layer in the same way, and so share one credit.

    Attributes:
        members: their places in the objective.
        direct: those of them that take the layer as an argument.
        mediators: the children of the layer through which they can be reached.
        opaque: whether they take the layer as an argument and have no counterfactual, or a mediator sends no messages,
            so that only REINFORCE is left.
    """

    members: tuple[int, ...]
    direct: tuple[int, ...]
    mediators: tuple[str, ...]
    opaque: bool


def roles(
    network: Network, components: Sequence[Component], *, prune_children: bool = True, prune_upstream: bool = True
) -> dict[str, tuple[Role, ...]]:
    """Returns, for every layer, the components that its values can change, grouped (Young 2022, footnote 6).

    Args:
        network: the network.
        components: the terms of the objective.
        prune_children: whether only the children through which a component can be reached mediate it; otherwise all
            do (Young 2022, Eq 12 of Appendix K).
        prune_upstream: whether components that the layer cannot change are left out; otherwise they are credited like
            mediated ones ("full reward", Appendix K).

    Raises:
        ValueError: if a component takes a layer as an argument that the network has not.
    """
    for component in components:
        unknown = sorted(set(component.arguments) - set(network.layers))
        if unknown:
            inputs = sorted(set(unknown) & {name for name, _ in network.inputs})
            hint = f" Inputs go in inputs={tuple(inputs)!r}, where the component has it." if inputs else ""
            raise ValueError(
                f"{type(component).__name__}: arguments={component.arguments!r}; {unknown!r} are not layers of the "
                f"network, which has {sorted(network.layers)!r}.{hint}"
            )
    # Once for all layers: a written-out loop has hundreds of layers and as many components.
    reaching = [network.ancestors(component.arguments) for component in components]
    return {
        name: _roles_of_layer(network, components, reaching, name, prune_children, prune_upstream)
        for name in network.order
    }


def _roles_of_layer(
    network: Network,
    components: Sequence[Component],
    reaching: Sequence[frozenset[str]],
    name: str,
    prune_children: bool,
    prune_upstream: bool,
) -> tuple[Role, ...]:
    """Returns one layer's roles; `reaching` has the layers from which each component can be reached."""
    groups: dict[tuple[tuple[str, ...], bool], list[int]] = {}
    direct = set()
    children = network.children(name)
    for index, (component, reached_from) in enumerate(zip(components, reaching, strict=True)):
        mediators = mediators_of(children, reached_from)
        if name in component.arguments:
            direct.add(index)
        prune = prune_children if mediators or index in direct else prune_upstream
        if not prune:
            mediators = children
        if mediators or index in direct:
            unknown = any(not network.layers[child].conditional.has_messages for child in mediators)
            opaque = unknown or (index in direct and not component.counterfactual)
            groups.setdefault((mediators, opaque), []).append(index)
    return tuple(
        Role(tuple(members), tuple(i for i in members if i in direct), mediators, opaque)
        for (mediators, opaque), members in groups.items()
    )
