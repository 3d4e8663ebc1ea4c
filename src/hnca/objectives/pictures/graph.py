"""What reads what in an objective of a network, and what that says of the credit of one layer."""

from collections.abc import Mapping
from dataclasses import dataclass

from hnca.objectives.mediation import Role

LAYER_COLOURS = {
    "credited": "#8cb4e8",
    "blanket": "#d5e4f7",
    "layer": "#ffffff",
}
"""Of the layer that is credited, its Markov blanket, and every other."""
COMPONENT_COLOURS = {
    "direct": "#bfe3bf",
    "direct + via": "#e9e39a",
    "via": "#fbd5a5",
    "score": "#f2b8b5",
    "-": "#e4e4e4",
    "component": "#ffffff",
}
"""By the way in which a component reaches the layer that is credited; the last where none is."""
MESSAGE_COLOUR = "#d9730d"


@dataclass(frozen=True)
class Graph:
    """The layers of a network and the components of an objective.

    Attributes:
        parents: for every layer, parents before children, the layers it reads.
        components: what each component is called.
        arguments: for each component, the layers it takes.
        roles: for every layer, how the components reach it.
    """

    parents: Mapping[str, tuple[str, ...]]
    components: tuple[str, ...]
    arguments: tuple[tuple[str, ...], ...]
    roles: Mapping[str, tuple[Role, ...]]

    def check(self, credited: str | None) -> None:
        """Raises a ValueError for a name that no layer has."""
        if credited is not None and credited not in self.parents:
            raise ValueError(f"credited={credited!r}: no such draw or layer; expected one of {list(self.parents)!r}.")

    def blanket(self, layer: str) -> frozenset[str]:
        """Returns the Markov blanket: parents, children, and the children's other parents."""
        children = [child for child, parents in self.parents.items() if layer in parents]
        around = {*self.parents[layer], *children, *(p for child in children for p in self.parents[child])}
        return frozenset(around - {layer})

    def way(self, layer: str, component: int) -> str:
        """Returns how a component reaches a layer: a key of `COMPONENT_COLOURS`."""
        for role in self.roles[layer]:
            if component in role.members:
                ways = ["direct"] * (component in role.direct) + ["via"] * bool(role.mediators)
                return "score" if role.opaque else " + ".join(ways)
        return "-"

    def sends_a_message(self, child: str, layer: str) -> bool:
        """Returns whether a child tells a layer how likely it would have been, for some component."""
        return any(child in role.mediators and not role.opaque for role in self.roles[layer])

    def layer_colour(self, layer: str, credited: str | None) -> str:
        """Returns the colour of a layer where one is credited."""
        if credited is None:
            return LAYER_COLOURS["layer"]
        near = "blanket" if layer in self.blanket(credited) else "layer"
        return LAYER_COLOURS["credited" if layer == credited else near]

    def component_colour(self, component: int, credited: str | None) -> str:
        """Returns the colour of a component where a layer is credited."""
        return COMPONENT_COLOURS["component" if credited is None else self.way(credited, component)]
