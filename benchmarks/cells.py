"""What the tables of the documents' pages have in common: words for fields, and Markdown."""

import re

from hnca.experiments.registry import EXPERIMENTS, experiment_class

HEADINGS = {field: words for name in EXPERIMENTS for field, words in experiment_class(name).headings.items()}
HEADINGS |= {"test_active_units": "units in use"}


def heading(field):
    """Returns what a table calls a field."""
    return HEADINGS.get(field, field.replace("_", " "))


def number(value, digits):
    """Returns a cell: a dash for nothing, whole numbers as they are."""
    if value is None:
        return "–"
    return positive_zero(f"{value:.{digits}f}" if value != round(value) else f"{value:.0f}")


def positive_zero(text):
    """Returns a number without a minus that stands before zeros alone."""
    return text.removeprefix("-") if re.fullmatch(r"-0(\.0*)?", text) else text


def table(lines):
    """Returns Markdown of a table's lines, each a list of cells, the first of them the headings."""
    rule = "|" + "---|" * len(lines[0])
    first, *others = ["| " + " | ".join(map(str, line)) + " |" for line in lines]
    return "\n".join([first, rule, *others])


def bold(cell):
    """Returns a cell that stands out."""
    return f"**{cell}**"
