"""How each component reaches each layer, as a table to read: the colours of Young 2022, Figure 2."""

from collections.abc import Sequence

from hnca.network import Network
from hnca.objectives._base import Component
from hnca.objectives.mediation import Role, roles

_NOT_REACHED = "-"


def explanation(network: Network, components: Sequence[Component]) -> str:
    """Returns a plain table, one line a component and one column a layer.

    A cell says how HNCA credits the layer for the component: `direct` (the component takes the layer as an argument and
    its counterfactuals are known), `via a, b` (through these children), `direct + via a, b`, `score` (an argument, with
    no counterfactual: REINFORCE), or `-` (the layer cannot change the component).

    Raises:
        ValueError: if a component takes a layer as an argument that the network has not.
    """
    by_layer = {name: _cells(layer_roles) for name, layer_roles in roles(network, components).items()}
    lines = [["", *network.order]]
    for place, component in enumerate(components):
        lines.append([str(component), *(by_layer[name].get(place, _NOT_REACHED) for name in network.order)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _cells(layer_roles: Sequence[Role]) -> dict[int, str]:
    return {member: _cell(role, member in role.direct) for role in layer_roles for member in role.members}


def _cell(role: Role, direct: bool) -> str:
    if role.opaque:
        return "score"
    parts = ["direct"] if direct else []
    if role.mediators:
        parts.append(f"via {', '.join(role.mediators)}")
    return " + ".join(parts)
