"""A graph as a picture that any browser shows, with nothing fetched and nothing run."""

from collections.abc import Sequence
from html import escape

from hnca.objectives.pictures.graph import COMPONENT_COLOURS, LAYER_COLOURS, MESSAGE_COLOUR, Graph
from hnca.objectives.pictures.layout import ROW, Place, layout

_HEIGHT = 34.0
_LETTER = 7.6
_MARGIN = 14.0
_LEGEND = {
    "credited": "credited",
    "blanket": "Markov blanket",
    "direct": "direct",
    "direct + via": "direct, and through children",
    "via": "through children",
    "score": "by the score",
    "-": "left out: not changed by it",
}


def svg(graph: Graph, credited: str | None = None) -> str:
    """Returns the picture: rounded layers, square components, dashed messages to the layer that is credited."""
    graph.check(credited)
    labels = {**{name: name for name in graph.parents}, **{_key(i): c for i, c in enumerate(graph.components)}}
    reads = {**graph.parents, **{_key(i): arguments for i, arguments in enumerate(graph.arguments)}}
    widths = {node: _LETTER * len(label) + 24 for node, label in labels.items()}
    places, edges = layout(reads, widths)
    sources = [(source, node) for node, all_read in reads.items() for source in all_read]
    drawn = [_edge(points) for points in edges]
    for (source, node), points in zip(sources, edges, strict=True):
        if source == credited and node in graph.parents and graph.sends_a_message(node, source):
            drawn.append(_message(points))
    for node, place in places.items():
        is_layer = node in graph.parents
        colour = graph.layer_colour(node, credited) if is_layer else graph.component_colour(_number(node), credited)
        drawn.append(_box(labels[node], place, widths[node], colour, _HEIGHT / 2 if is_layer else 3.0))
    bends = [x for points in edges for x, _ in points]
    left = min([x - widths[node] / 2 for node, (x, _) in places.items()] + bends)
    right = max([x + widths[node] / 2 for node, (x, _) in places.items()] + bends)
    bottom = max(y for _, y in places.values()) + _HEIGHT / 2
    if credited is not None:
        legend, bottom, right = _legend(graph, credited, left, max(right, left + 300), bottom)
        drawn.append(legend)
    box = f"{left - _MARGIN:g} {-_HEIGHT / 2 - _MARGIN:g} {right - left + 2 * _MARGIN:g}"
    title = "The objective" if credited is None else f"How {escape(credited)} is credited"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box} {bottom + _HEIGHT / 2 + 2 * _MARGIN:g}" '
        f'style="max-width:100%;width:{right - left + 2 * _MARGIN:g}px;height:auto" role="img" '
        f'font-family="system-ui,sans-serif" font-size="13" fill="none" stroke="currentColor">'
        f"<title>{title}</title>{''.join(drawn)}</svg>"
    )


def _key(component: int) -> str:
    return f"\0{component}"


def _number(key: str) -> int:
    return int(key[1:])


def _edge(points: Sequence[Place]) -> str:
    x, y = points[-1]
    return f'<path d="{_path(points)}" stroke-opacity="0.55"/>{_tip(x, y - _HEIGHT / 2, -1, "currentColor")}'


def _message(points: Sequence[Place]) -> str:
    """A dashed line back from a child, to the right of the edge."""
    aside = [(x + 16, y) for x, y in points]
    line = f'<path d="{_path(aside)}" stroke="{MESSAGE_COLOUR}" stroke-width="1.6" stroke-dasharray="5 3"/>'
    return line + _tip(aside[0][0], aside[0][1] + _HEIGHT / 2, 1, MESSAGE_COLOUR)


def _path(points: Sequence[Place]) -> str:
    """From the lower side of one box to the upper side of another, upright wherever it passes a row."""
    (x, y), *rest = points
    y += _HEIGHT / 2
    path = f"M{x:g},{y:g}"
    for number, (to, down) in enumerate(rest, 1):
        end = down - _HEIGHT / 2 if number == len(rest) else down
        middle = (y + end) / 2
        path += f"C{x:g},{middle:g} {to:g},{middle:g} {to:g},{end:g}"
        x, y = to, end
    return path


def _tip(x: float, y: float, way: int, colour: str) -> str:
    return f'<path d="M{x:g},{y:g}l-4,{7 * way}h8z" fill="{colour}" stroke="none"/>'


def _box(label: str, place: Place, width: float, colour: str, radius: float) -> str:
    x, y = place
    return (
        f'<rect x="{x - width / 2:g}" y="{y - _HEIGHT / 2:g}" width="{width:g}" height="{_HEIGHT:g}" rx="{radius:g}" '
        f'fill="{colour}"/><text x="{x:g}" y="{y + 4.5:g}" text-anchor="middle" fill="#1a1a1a" stroke="none">'
        f"{escape(label)}</text>"
    )


def _legend(graph: Graph, credited: str, left: float, right: float, bottom: float) -> tuple[str, float, float]:
    """Returns what the colours that are used mean, where it ends, and how far to the right the picture goes."""
    used = {"credited", *(graph.way(credited, place) for place in range(len(graph.components)))}
    used |= {"blanket"} if graph.blanket(credited) else set()
    entries = [
        (({**LAYER_COLOURS, **COMPONENT_COLOURS})[key], f"{credited}: {words}" if key == "credited" else words, "")
        for key, words in _LEGEND.items()
        if key in used
    ]
    if any(graph.sends_a_message(child, credited) for child, read in graph.parents.items() if credited in read):
        entries.append((MESSAGE_COLOUR, "message", "line"))
    drawn, x, y = [], left, bottom + ROW / 2
    for colour, words, kind in entries:
        width = 24 + 6.6 * len(words) + 12
        if x > left and x + width > right:
            x, y = left, y + 22
        shape = (
            f'<path d="M{x:g},{y:g}h16" stroke="{colour}" stroke-width="1.6" stroke-dasharray="5 3"/>'
            if kind
            else f'<rect x="{x:g}" y="{y - 6:g}" width="16" height="12" rx="3" fill="{colour}"/>'
        )
        drawn.append(
            f'{shape}<text x="{x + 22:g}" y="{y + 4:g}" fill="currentColor" stroke="none">{escape(words)}</text>'
        )
        x += width
    return "".join(drawn), y + 8, right
