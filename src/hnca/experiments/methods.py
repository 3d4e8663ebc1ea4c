"""The names of estimators on the command line, and what follows from one.

A name is that of a row of `method_rows`, and, where it takes a baseline, `+baseline` or `+learned` after it. Imports no
JAX: the classes are imported when an estimator is made.
"""

import math
from collections.abc import Container, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from hnca.experiments.method_rows import METHODS, OF_SEVERAL, Method

if TYPE_CHECKING:
    from hnca.estimators import Estimator


class _WithBaseline(NamedTuple):
    """What a suffix of a name stands for.

    Attributes:
        suffix: after the `+`.
        kind: its class in `hnca`.
        label: after the estimator's.
        former: what rows had in a field `baseline` before names told it.
        options: arguments of the class.
    """

    suffix: str
    kind: str | None
    label: str
    former: str
    options: Mapping[str, Any] = {}


_BASELINES = (
    _WithBaseline("", None, "", "none"),
    # The paper's, from 0: what is published with it stays as it is.
    _WithBaseline("baseline", "RunningMean", " with baseline", "running mean", {"debias": False}),
    _WithBaseline("learned", "LearnedBaseline", " with learned baseline", "learned"),
)


def names(of: Container[str]) -> tuple[str, ...]:
    """Returns the names, those with baselines too, of the methods that can learn from one of these; no ablations."""
    rows = [row for row in METHODS.values() if row.needs in of and row.ablates is None]
    return tuple(_named(row, baseline) for row in rows for baseline in _BASELINES[: len(row.colours)])


def ablations(of: str) -> tuple[str, ...]:
    """Returns what can be left out of a method, as the names of its ablations end."""
    return tuple(row.name.removeprefix(f"{of}-") for row in METHODS.values() if row.ablates == of)


def described(of: Container[str]) -> str:
    """Returns a line of help for each of the methods that can learn from one of these."""
    rows = [row for row in METHODS.values() if row.needs in of and row.ablates is None]
    return "\n".join(f"{row.name}{'*' if _takes_baseline(row) else ''}: {row.help}" for row in rows)


def estimator_of(name: str, bound_samples: int | None = None) -> "Estimator":
    """Returns the estimator of that name; `+baseline` gives it the paper's running mean, `+learned` a learned one.

    Args:
        name: the name.
        bound_samples: how many samples a bound of several is of, if not as many as the method says.
    """
    row, baseline = _parts(name)
    library = import_module("hnca")
    options = {**row.options, **{argument: getattr(library, kind)() for argument, kind in row.parts.items()}}
    if bound_samples is not None and row.needs in OF_SEVERAL:
        options["samples"] = bound_samples
    if baseline.kind is not None:
        options["baseline"] = getattr(library, baseline.kind)(**baseline.options)
    return getattr(library, row.kind)(**options)


def with_running_mean(name: str) -> str:
    """Returns the name with a running mean, unless it has a baseline or takes none."""
    return f"{name}+baseline" if "+" not in name and _takes_baseline(METHODS[name]) else name


def label(name: str) -> str:
    """Returns how tables and figures name an estimator."""
    row, baseline = _parts(name)
    return f"{row.label}{baseline.label}"


def colour(name: str) -> str:
    """Returns the colour of an estimator's curves, the same in all figures."""
    row, baseline = _parts(name)
    return row.colours[_BASELINES.index(baseline)]


def place(name: str) -> tuple[int, int]:
    """Returns where an estimator stands among all, to be sorted by."""
    row, baseline = _parts(name)
    return list(METHODS).index(row.name), _BASELINES.index(baseline)


def is_known(name: object) -> bool:
    """Returns whether it is the name of an estimator, exactly as one is written."""
    return any(name == _named(row, each) for row in METHODS.values() for each in _BASELINES[: len(row.colours)])


def is_ablation(name: str) -> bool:
    """Returns whether it is another method without something."""
    return _parts(name)[0].ablates is not None


def is_seldom_compared(name: str) -> bool:
    """Returns whether it is compared only if it is asked for."""
    return _parts(name)[0].seldom


def takes_categories(name: str) -> bool:
    """Returns whether it takes categorical units too."""
    return not _parts(name)[0].binary


def widest(name: str, alternatives: int) -> int | None:
    """Returns how many units of so many values each a layer may have at most; None for any number."""
    most = _parts(name)[0].joint_values
    return None if most is None else max(1, math.floor(math.log(most, alternatives)))


def former_name(kind: str, baseline: str) -> str:
    """Returns the name of which rows once had two parts, such as `hnca` and `running mean`.

    Raises:
        KeyError: if there is no such estimator, or none with such a baseline.
    """
    row = METHODS[kind]
    return {each.former: _named(row, each) for each in _BASELINES[: len(row.colours)]}[baseline]


def _takes_baseline(row: Method) -> bool:
    return len(row.colours) > 1


def _named(row: Method, baseline: _WithBaseline) -> str:
    return f"{row.name}+{baseline.suffix}" if baseline.suffix else row.name


def _parts(name: str) -> tuple[Method, _WithBaseline]:
    if name in METHODS:
        return METHODS[name], _BASELINES[0]
    kind, _, suffix = name.partition("+")
    return METHODS[kind], next(each for each in _BASELINES if each.suffix == suffix)
