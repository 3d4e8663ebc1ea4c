"""Figures as files: whole or not at all, with a mark by which one can be told from what somebody else has put there."""

import io
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from hnca.experiments.files import write_atomically

_METADATA = {"png": {"Software": "hnca"}, "pdf": {"Creator": "hnca"}, "svg": {"Creator": "hnca"}}
MARKS = {"png": b"Software\0hnca", "pdf": b"/Creator (hnca)", "svg": b"<dc:title>hnca</dc:title>"}
"""What a file of each kind has in it if it was written here."""

_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def save_figure(figure: Figure, path: Path) -> Path:
    """Writes a figure, 150 dots an inch, and returns the path, whose ending says in which format: png, pdf or svg.

    Raises:
        OSError: if it cannot be written.
    """
    kind = path.suffix.removeprefix(".")
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, dpi=150, metadata=_METADATA[kind])
    write_atomically(path, [stream.getbuffer()])
    return path


def legible(text: str) -> str:
    """Returns text of a user's as figures can show it, with a sign for every letter that the font lacks."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(letter if ord(letter) in known else _UNKNOWN for letter in text)
