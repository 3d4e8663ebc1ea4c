"""A graph as text for Mermaid, which GitHub, JupyterLab and many editors draw."""

from hnca.objectives.pictures.graph import MESSAGE_COLOUR, Graph


def mermaid(graph: Graph, credited: str | None = None) -> str:
    """Returns the text of a flowchart: rounded layers, square components, dashed messages to the layer credited."""
    graph.check(credited)
    ids = {layer: f"layer{number}" for number, layer in enumerate(graph.parents)}
    lines, edges, messages = ["flowchart TD"], 0, []
    for layer, number in ids.items():
        lines.append(f"  {number}({_quoted(layer)})")
    for place, component in enumerate(graph.components):
        lines.append(f"  component{place}[{_quoted(component)}]")
    for child, parents in graph.parents.items():
        for parent in parents:
            lines.append(f"  {ids[parent]} --> {ids[child]}")
            edges += 1
            if parent == credited and graph.sends_a_message(child, credited):
                lines.append(f"  {ids[child]} -. message .-> {ids[parent]}")
                messages.append(edges)
                edges += 1
    for place, arguments in enumerate(graph.arguments):
        lines += [f"  {ids[argument]} --> component{place}" for argument in arguments]
    for layer, number in ids.items():
        lines.append(f"  style {number} fill:{graph.layer_colour(layer, credited)},color:#000")
    for place in range(len(graph.components)):
        lines.append(f"  style component{place} fill:{graph.component_colour(place, credited)},color:#000")
    lines += [f"  linkStyle {number} stroke:{MESSAGE_COLOUR}" for number in messages]
    return "\n".join(lines) + "\n"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', "#quot;") + '"'
