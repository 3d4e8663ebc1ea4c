"""Figures as SVG that takes the page's colours, and pictures as text."""

import base64
import io
from contextlib import AbstractContextManager
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from hnca.experiments.files import read_whole

_TEXT = "#010203"
"""A colour that nothing else has, in whose place the page's own is put."""

_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST = 2**24
"""Bytes."""

_STYLE: dict[Any, str] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hnca",
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _TEXT,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "grid.color": "#808080",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": "sans-serif",
}


def page_style() -> AbstractContextManager[None]:
    """Returns a context in which figures are to be made that `as_svg` writes."""
    return mpl.rc_context(_STYLE)


def as_svg(figure: Figure) -> str:
    """Returns the figure as an SVG element that scales with the page and is legible on light and dark."""
    stream = io.StringIO()
    with page_style():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    element = text[text.index("<svg") :]
    # The legend's grey, and black where a curve is drawn in it.
    for colour in (_TEXT, "#666666", "#000000"):
        element = element.replace(colour, "currentColor")
    return element


def as_image(path: Path) -> str | None:
    """Returns a PNG as an `img` element with the picture in it; None if it is none, or a link, or larger than any."""
    try:
        content = b"" if path.is_symlink() else read_whole(path, _LARGEST)
    except OSError:
        return None
    if not content.startswith(_PNG):
        return None
    return f'<img alt="{escape(path.stem)}" src="data:image/png;base64,{base64.b64encode(content).decode()}">'
