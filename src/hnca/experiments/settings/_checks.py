"""How a wrong value is told."""

from collections.abc import Sequence
from difflib import get_close_matches
from math import isfinite
from pathlib import Path

from hnca.experiments.methods import takes_categories, widest
from hnca.experiments.sizes import MOST, MOST_LAYERS, MOST_SEEDS, MOST_UNITS


class SettingsError(Exception):
    """A setting that cannot be used. Its message is one line, fit to be shown to the user.

    No ValueError, since the parser of the command line makes of those a text of its own.
    """


_AT_MOST = {"layers": MOST_LAYERS, "width": MOST_UNITS, "seeds": MOST_SEEDS}


def check_count(name: str, value: int) -> None:
    """Raises a SettingsError unless the value is at least 1, and no more than there can be of it."""
    if value < 1:
        raise SettingsError(f"{_flag(name)} {value}: expected a whole number of at least 1")
    if value > (most := _AT_MOST.get(name, MOST)):
        raise SettingsError(f"{_flag(name)} {value}: expected a whole number of at most {most}")


def check_positive(name: str, value: float) -> None:
    """Raises a SettingsError unless the value is a positive number."""
    if not (isfinite(value) and value > 0):
        raise SettingsError(f"{_flag(name)} {value}: expected a positive number")


def check_epochs(name: str, value: int) -> None:
    """Raises a SettingsError unless the value is a number of epochs, 0 among them."""
    if not 0 <= value <= MOST:
        raise SettingsError(f"{_flag(name)} {value}: expected a whole number of epochs, 0 or more")


def check_each(name: str, values: Sequence[int]) -> None:
    """Raises a SettingsError unless there are values and each can be counted to."""
    if not values or min(values) < 1:
        raise SettingsError(f"{_flag(name)} {_shown(values)}: expected whole numbers of at least 1")
    check_count(name, max(values))


def check_names(name: str, values: Sequence[str], allowed: Sequence[str]) -> None:
    """Raises a SettingsError unless there are values and each is one of those allowed."""
    unknown = [value for value in values if value not in allowed]
    if unknown or not values:
        alike = dict.fromkeys(near for value in unknown for near in get_close_matches(value, allowed, 1))
        like = f"; like {' or '.join(alike)}?" if alike else ""
        raise SettingsError(f"{_flag(name)} {_shown(unknown)}: expected some of {', '.join(allowed)}{like}")


def check_once(name: str, values: Sequence[object]) -> None:
    """Raises a SettingsError for what is given twice, where that would be measured twice."""
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    if twice:
        raise SettingsError(f"{_flag(name)} {_shown(values)}: expected {_shown(twice)} once")


def check_categories(categories: int | None, estimators: Sequence[str]) -> None:
    """Raises a SettingsError unless units can have so many categories, and each estimator takes units of them."""
    if categories is None:
        return
    if categories < 2:
        raise SettingsError(f"--categories {categories}: expected at least 2, or none for binary units")
    check_count("categories", categories)
    binary = [name for name in estimators if not takes_categories(name)]
    if binary:
        raise SettingsError(f"--estimators {_shown(binary)}: expected no --categories, since these take binary units")


def check_widths(width: int, alternatives: int, estimators: Sequence[str]) -> None:
    """Raises a SettingsError unless each estimator takes layers of so many units, of so many values each."""
    for name in estimators:
        most = widest(name, alternatives)
        if most is not None and width > most:
            raise SettingsError(f"--estimators {name}: --width {width}; expected at most {most}")


def check_file(name: str, path: Path | None) -> None:
    """Raises a SettingsError if a path, where there is one, can be none of a file."""
    if path is not None and (path.name in ("", "..") or path.is_dir()):
        raise SettingsError(f"{_flag(name)} {path}: is a directory; expected a file")


def check_run(name: str, directory: Path | None) -> None:
    """Raises a SettingsError if a run's directory, where one is given, is not there."""
    if directory is not None and not directory.is_dir():
        raise SettingsError(f"{_flag(name)} {directory}: no such directory; expected one such as runs/vae/2-hnca")


def _shown(values: Sequence[object]) -> str:
    return " ".join(map(str, values)) or "(nothing)"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
