"""What `hnca data` does. Imports no JAX."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from hnca.experiments.data import facts_of
from hnca.experiments.data.catalogue import CATALOGUE
from hnca.experiments.data.download import download
from hnca.experiments.data.loading import is_file, read_collection
from hnca.experiments.data.places import data_directory, find, require
from hnca.experiments.settings import DataSetSettings

_TITLE = 14
"""The least width of the titles' column, which break between words."""
_OTHERS = 70
"""What all columns but the last need of a terminal's width, with titles of the least."""


def look_after_data(settings: DataSetSettings, console: Console) -> None:
    """Lists, gets or checks data sets.

    Raises:
        DataError: if one cannot be had, or is damaged.
    """
    {"list": _list, "get": _get, "check": _check}[settings.action](settings, console)


def _list(settings: DataSetSettings, console: Console) -> None:
    rows = []
    for name, collection in CATALOGUE.items():
        folder = find(collection, settings.data_dir)
        where = "in the package" if collection.embedded else str(folder or f"not here: hnca data get {name}")
        sizes = [file.size for file in collection.files if file.size is not None]
        size = f"{sum(sizes) / 1e6:.0f} MB" if sizes else ""
        rows.append((name, collection.title, f"{collection.facts.train_images:,}", size, collection.licence, where))
    # A path that is broken cannot be copied: it gets what room it needs, if there is so much beside the others.
    room = max(0, min(max(len(where) for *_, where in rows), console.width - _OTHERS))
    table = Table()
    table.add_column("name", no_wrap=True)
    table.add_column("what it is", min_width=_TITLE, max_width=_TITLE + max(0, console.width - _OTHERS - room))
    for heading in ("images", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("licence", no_wrap=True)
    table.add_column("where", min_width=room, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _get(settings: DataSetSettings, console: Console) -> None:
    for name in settings.names:
        collection = CATALOGUE[name]
        if collection.embedded is not None:
            console.print(f"{name}: in the package", highlight=False)
            continue
        download(collection, data_directory(settings.data_dir), settings.mirror, lambda line: _say(console, line))


def _check(settings: DataSetSettings, console: Console) -> None:
    here = [name for name, collection in CATALOGUE.items() if find(collection, settings.data_dir) is not None]
    for name in settings.names or here:
        if is_file(name):
            facts = facts_of(name)
            height, width = facts.image_shape
            labels = "no labels" if facts.classes is None else f"labels below {facts.classes}"
            count = "one image" if facts.train_images == 1 else f"{facts.train_images} images"
            _say(console, f"{Path(name)}: {count} of {height} by {width}, {labels}")
        else:
            folder = require(CATALOGUE[name], settings.data_dir)
            read_collection(CATALOGUE[name], folder)
            _say(console, f"{name}: {folder}: all {len(CATALOGUE[name].files)} file(s) are as published")


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False)
