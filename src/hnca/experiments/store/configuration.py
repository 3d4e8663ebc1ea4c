"""What a run was started with, and in what another start would differ."""

import json
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

from hnca.experiments.files import read_json, read_whole, shown, write_atomically
from hnca.experiments.sizes import MOST, MOST_LAYERS, MOST_SEEDS, MOST_UNITS

NAME = "config.json"
FORMAT = 3
_FORMER = 2
"""In which the estimator was called `method`."""

Configuration = dict[str, Any]

_COMPARED = ("experiment", "layers", "estimator", "data", "settings")
_START = "start"
"""What the part is called that says which run's parameters a run began with; one that drew its own has none."""
_IMAGES = "training_images"
"""What the number of images that are learned from is called, as the setting is."""
_KEPT_BACK = "validation_images"
"""Likewise of those that are measured on in place of the test images; earlier versions had none."""
_KINDS = {
    **dict.fromkeys(("experiment", "estimator"), str),
    **dict.fromkeys(("layers", "epochs"), int),
    **dict.fromkeys(("data", "settings", "environment"), dict),
    "continued": list,
}
_LONGEST = 2**24
"""Bytes. A run that was continued a thousand times has less than a mebibyte."""


class StoredRunError(Exception):
    """A run on disk that cannot be read or be continued. Its message is one line, fit to be shown to the user."""


def with_estimator(found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the description of a run of before, where the estimator was called `method`, as it is written now."""
    return {"estimator" if name == "method" else name: value for name, value in found.items()}


def odd_parts(found: Mapping[str, Any]) -> list[str]:
    """Returns what of the description of a run is not as any version has written it, or beyond what can be trained.

    What is missing of `data` and `settings` is left to those who need it.

    Args:
        found: JSON, in which `experiment`, `layers`, `estimator`, `data` and `settings` should be.
    """
    kinds = {name: kind for name, kind in _KINDS.items() if name in _COMPARED}
    odd = [name for name, kind in kinds.items() if not isinstance(found.get(name), kind)]
    if odd:
        return odd
    data, settings = found["data"], found["settings"]
    checks: dict[str, Callable[[Any], bool]] = {
        "name": lambda value: isinstance(value, str),
        "train_images": _is_count,
        _KEPT_BACK: lambda value: value == 0 or _is_count(value),
        "image_shape": lambda value: isinstance(value, list) and len(value) == 2 and all(map(_is_size, value)),
        "classes": lambda value: value is None or _is_size(value),
        "width": _is_size,
        "seeds": lambda value: _is_count(value, MOST_SEEDS),
        "batch_size": _is_count,
    }
    odd = [] if _is_count(found["layers"], MOST_LAYERS) else ["layers"]
    for name, value in (*data.items(), *settings.items()):
        if not checks.get(name, _is_setting)(value):
            odd.append(name)
    return odd


def _odd_history(found: Configuration) -> list[str]:
    """Returns the same of what says how far and where a run was trained."""
    odd = [] if _is_count(found["epochs"]) else ["epochs"]
    if _START in found and not _is_start(found[_START]):
        odd.append(_START)
    environments = [each.get("environment") if isinstance(each, dict) else None for each in found["continued"]]
    return odd if all(isinstance(each, dict) for each in environments) else [*odd, "continued"]


def _is_start(value: Any) -> bool:
    if not isinstance(value, dict) or not _is_count(value.get("epochs")):
        return False
    return all(isinstance(value.get(name), str) for name in ("run", "content"))


def _is_count(value: Any, most: int = MOST) -> bool:
    return type(value) is int and 0 < value <= most


def _is_size(value: Any) -> bool:
    return _is_count(value, MOST_UNITS)


def _is_setting(value: Any) -> bool:
    parts = value if isinstance(value, list) else [value]
    return not any(isinstance(part, dict | list) for part in parts)


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
        found = read_json(read_whole(path, _LONGEST))
    except FileNotFoundError:
        return None
    except ValueError:
        raise StoredRunError(f"{path}: is no JSON, but should say what the run was started with") from None
    if not isinstance(found, dict) or found.get("format") not in (FORMAT, _FORMER):
        raise StoredRunError(f"{path}: expected the configuration of a run in format {FORMAT}")
    if found["format"] == _FORMER:
        found = {**with_estimator(found), "format": FORMAT}
    odd = [name for name, kind in _KINDS.items() if not isinstance(found.get(name), kind)]
    odd = odd or odd_parts(found) + _odd_history(found)
    if odd:
        raise StoredRunError(f"{path}: {shown(', '.join(odd))}: not as it was written")
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

    A setting is called as its option is.

    Epochs are not among it, since a run can be continued, nor is what versions and device they are computed by.
    """
    before, now = _flat(stored), _flat(wanted)
    names = [*before, *(name for name in now if name not in before)]
    if before.get(_IMAGES) is None:  # as written by earlier versions, which learned from all
        names.remove(_IMAGES)
    return [
        f"{name.replace('_', '-')} {_shown(before.get(name))}, now {_shown(now.get(name))}"
        for name in names
        if before.get(name) != now.get(name)
    ]


def _flat(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON would give it back, so that a tuple is a list."""
    chosen = json.loads(json.dumps({name: configuration[name] for name in _COMPARED}))
    of_the_run = {name: chosen[name] for name in ("experiment", "layers", "estimator")}
    facts = chosen["data"]
    data = {"dataset": facts.get("content"), _IMAGES: facts.get("train_images"), _KEPT_BACK: facts.get(_KEPT_BACK, 0)}
    start = configuration.get(_START)
    started = {} if start is None else {"start_from": f"{start['run']}, epochs {start['epochs']}, {start['content']}"}
    return {**of_the_run, **data, **chosen["settings"], **started}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_shown, value)) or "(nothing)"
    return "(not set)" if value is None else str(value)
