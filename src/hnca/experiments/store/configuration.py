"""What a run was started with, and in what another start would differ."""

import json
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from hnca.experiments.store.atomic import write_atomically

NAME = "config.json"
FORMAT = 2

Configuration = dict[str, Any]

_COMPARED = ("experiment", "layers", "method", "data", "settings")
_KINDS = {
    **dict.fromkeys(("experiment", "method"), str),
    **dict.fromkeys(("layers", "epochs"), int),
    **dict.fromkeys(("data", "settings", "environment"), dict),
    "continued": list,
}


class StoredRunError(Exception):
    """A run on disk that cannot be read or be continued. Its message is one line, fit to be shown to the user."""


def write_configuration(directory: Path, configuration: Mapping[str, Any]) -> None:
    """Writes `config.json`.

    Raises:
        OSError: if it cannot be written.
    """
    content = json.dumps({"format": FORMAT, **configuration}, indent=2) + "\n"
    write_atomically(directory / NAME, [content.encode()])


def read_configuration(directory: Path) -> Configuration | None:
    """Returns what `config.json` says, or None if there is none.

    Raises:
        StoredRunError: if it is damaged or in a later format.
        OSError: if it cannot be read.
    """
    path = directory / NAME
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise StoredRunError(f"{path}: is no JSON, but should say what the run was started with") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise StoredRunError(f"{path}: expected the configuration of a run in format {FORMAT}")
    odd = [name for name, kind in _KINDS.items() if not isinstance(found.get(name), kind)]
    if odd:
        raise StoredRunError(f"{path}: {', '.join(odd)}: not as it was written")
    return found


def stored_runs(out: Path, but: Container[Path] = ()) -> dict[Path, Configuration]:
    """Returns the configurations of all runs below a directory, by their directories, in the order of their names.

    Args:
        out: the directory.
        but: directories of runs that are not looked at.

    Raises:
        StoredRunError: if one is damaged.
        OSError: if one cannot be read.
    """
    there = [path.parent for path in sorted(out.glob(f"*/{NAME}")) if path.parent not in but]
    found = {directory: read_configuration(directory) for directory in there}
    return {directory: configuration for directory, configuration in found.items() if configuration is not None}


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Returns, one a setting, in what the numbers of two runs are determined differently: `width 200, now 100`.

    Epochs are not among it, since a run can be continued, nor is what versions and device they are computed by.
    """
    before, now = _flat(stored), _flat(wanted)
    names = [*before, *(name for name in now if name not in before)]
    return [
        f"{name} {_shown(before.get(name))}, now {_shown(now.get(name))}"
        for name in names
        if before.get(name) != now.get(name)
    ]


def _flat(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON would give it back, so that a tuple is a list."""
    chosen = json.loads(json.dumps({name: configuration[name] for name in _COMPARED}))
    of_the_run = {name: chosen[name] for name in ("experiment", "layers", "method")}
    return {**of_the_run, "dataset": chosen["data"].get("content"), **chosen["settings"]}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_shown, value)) or "(nothing)"
    return "(not set)" if value is None else str(value)
