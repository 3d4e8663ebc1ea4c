"""The page: sections of HTML, put together by hand since they are few."""

from collections.abc import Mapping, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  background: Canvas; color: CanvasText; }
h1, h2 { font-weight: 600; line-height: 1.2; }
h2 { margin-top: 2.5rem; }
svg { display: block; max-width: max(100%, 36rem); height: auto; }
img { max-width: 100%; height: auto; border: 1px solid color-mix(in srgb, CanvasText 25%, transparent); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; white-space: nowrap;
  border-bottom: 1px solid color-mix(in srgb, CanvasText 20%, transparent); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.pictures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 28rem), 1fr)); }
figure { margin: 0; }
figcaption, .note { opacity: .75; font-size: .9em; }
"""


_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Nothing is loaded, and nothing run, whatever the names of runs and settings have in them."""

MARK = b"<title>hnca: "
"""What every page has in it."""


def page(title: str, sections: Sequence[str]) -> str:
    """Returns the whole document."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>\n{chr(10).join(sections)}\n</body></html>\n"
    )


def section(heading: str, *parts: str) -> str:
    """Returns a heading and what stands under it."""
    return f"<h2>{escape(heading)}</h2>\n" + "\n".join(parts)


def note(text: str) -> str:
    """Returns a line of explanation."""
    return f'<p class="note">{escape(text)}</p>'


def table(headings: Sequence[str], lines: Sequence[Sequence[object]], numbers: bool = True) -> str:
    """Returns a table; with `numbers` all columns but the first two are aligned as such."""

    def cells(tag: str, line: Sequence[object]) -> str:
        kinds = [' class="number"' if numbers and place > 1 else "" for place in range(len(line))]
        return "".join(f"<{tag}{kind}>{escape(str(c))}</{tag}>" for kind, c in zip(kinds, line, strict=True))

    body = "".join(f"<tr>{cells('td', line)}</tr>\n" for line in lines)
    return f'<div class="scroll"><table><tr>{cells("th", headings)}</tr>\n{body}</table></div>'


def figure(drawing: str) -> str:
    """Returns a drawing at its own size, or as wide as the page; it is scrolled where its text would be too small."""
    return f'<div class="scroll">{drawing}</div>'


def pictures(images: Mapping[str, str]) -> str:
    """Returns pictures with their captions, as many in a row as there is room for."""
    shown = [f"<figure>{image}<figcaption>{escape(name)}</figcaption></figure>" for name, image in images.items()]
    return f'<div class="pictures">{"".join(shown)}</div>'
