"""How each component reaches each layer: a table to read, and a picture in the colours of Young 2022, Figure 2."""

from collections import Counter
from collections.abc import Mapping, Sequence

from hnca.network import Network
from hnca.objectives._base import Component, listed
from hnca.objectives.mediation import Role, roles
from hnca.objectives.pictures import Graph, mermaid, svg

_NOT_REACHED = "-"


class Explanation(str):
    """A text, to be printed; its methods draw the same as a picture.

    Layers stand above the components that take them. Where a layer is named as `credited`, the colours are those of its
    credit: its Markov blanket, the children that send it messages, and every component by how it reaches the layer
    (`direct`, `via` children, both, `score`), or grey if it is left out since the layer cannot change it.
    """

    graph: Graph

    def __new__(cls, text: str, graph: Graph) -> "Explanation":
        """Args:
        text: what is printed.
        graph: what is drawn.
        """
        made = super().__new__(cls, text)
        made.graph = graph
        return made

    def __getnewargs__(self) -> tuple[str, Graph]:  # type: ignore[override]
        return str(self), self.graph

    def svg(self, credited: str | None = None) -> str:
        """Returns a picture, as the text of an SVG, for a file or a page; in a notebook: `IPython.display.SVG(...)`.

        Args:
            credited: the layer (of a program, the draw) whose credit the colours tell.

        Raises:
            ValueError: for a name that no layer has.
        """
        return svg(self.graph, credited)

    def mermaid(self, credited: str | None = None) -> str:
        """Returns the picture as text for Mermaid, which GitHub and JupyterLab draw; arguments as for `svg`."""
        return mermaid(self.graph, credited)


def explanation(network: Network, components: Sequence[Component]) -> Explanation:
    """Returns a plain table that can draw itself, one line a component (or several alike) and one column a layer.

    A cell says how HNCA credits the layer for the component: `direct` (the component takes the layer as an argument and
    its counterfactuals are known), `via a, b` (through these children), `direct + via a, b`, `score` (an argument, with
    no counterfactual: REINFORCE), or `-` (the layer cannot change the component).

    Raises:
        ValueError: if a component takes a layer as an argument that the network has not.
    """
    by_role = roles(network, components)
    by_layer = {name: _cells(layer_roles) for name, layer_roles in by_role.items()}
    rows = Counter(
        (str(component), *(by_layer[name].get(place, _NOT_REACHED) for name in network.order))
        for place, component in enumerate(components)
    )
    lines = [[name if count == 1 else f"{name}, {count} times", *cells] for (name, *cells), count in rows.items()]
    return Explanation(aligned([["", *network.order], *lines]), _graph(network, components, by_role))


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Returns rows of cells as a plain table, its columns aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _graph(network: Network, components: Sequence[Component], by_role: Mapping[str, tuple[Role, ...]]) -> Graph:
    return Graph(
        {n: tuple(p for p in network.layers[n].conditional.parents if p in network.layers) for n in network.order},
        tuple(map(str, components)),
        tuple(tuple(component.arguments) for component in components),
        by_role,
    )


def _cells(layer_roles: Sequence[Role]) -> dict[int, str]:
    return {member: _cell(role, member in role.direct) for role in layer_roles for member in role.members}


def _cell(role: Role, direct: bool) -> str:
    if role.opaque:
        return "score"
    parts = ["direct"] if direct else []
    if role.mediators:
        parts.append(f"via {listed(role.mediators)}")
    return " + ".join(parts)
