"""Every estimator that the experiments know: a row is all that the command line, figures and tables need of it.

A name on the command line is a row's, and, where it takes a baseline, `+baseline` or `+learned` after it. Imports no
JAX: the classes are imported when an estimator is made.
"""

import math
from collections.abc import Container, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from hnca.estimators import Estimator

Needs = Literal["reward", "function", "bound", "encoder", "prior"]
"""What an estimator learns from: a reward that is only observed, a known function, or a bound of several samples'
weights, be it of any proposal, of an encoder's samples, or of the prior's own."""
_OF_SEVERAL = frozenset({"bound", "encoder", "prior"})


class Method(NamedTuple):
    """An estimator with its options.

    Attributes:
        name: on the command line and in the rows.
        kind: its class in `hnca`.
        label: in tables and figures.
        help: what it does, in a line.
        needs: the least it can learn from.
        colours: of its curves: without a baseline, with a running mean, with a learned one; a single one if it takes
            no baseline.
        options: arguments of the class.
        parts: arguments that are objects of the library's own, each the name of its class, made as it is by default.
        ablates: the method that it is without something, if it is.
        seldom: whether it is compared only if it is asked for: it costs much, or is another method on most networks.
        binary: whether it takes binary units alone.
        joint_values: how many joint values a layer may have for it, if not any number.
    """

    name: str
    kind: str
    label: str
    help: str
    needs: Needs
    colours: tuple[str, ...]
    options: Mapping[str, Any] = {}
    parts: Mapping[str, str] = {}
    ablates: str | None = None
    seldom: bool = False
    binary: bool = False
    joint_values: int | None = None


_ROWS = (
    Method(
        "hnca", "HNCA", "HNCA", "each unit credited by what its children reveal of it (Young 2022)", "reward",
        ("#0072b2", "#56b4e9", "#4b6bff"),
    ),
    Method(
        "hnca-all-children", "HNCA", "HNCA, all children", "without the pruning of children (Eq 12)", "reward",
        ("#000000", "#777777", "#b0b0b0"), {"prune_children": False}, ablates="hnca",
    ),
    Method(
        "hnca-full-reward", "HNCA", "HNCA, full reward", "without the pruning of upstream components", "reward",
        ("#c8283c", "#f4a582", "#e0567a"), {"prune_upstream": False}, ablates="hnca",
    ),
    Method(
        "hnca+debiased", "HNCA", "HNCA with debiased baseline", "with a running mean that is not pulled to 0", "reward",
        ("#2a6f97",), parts={"baseline": "RunningMean"},
    ),
    Method(
        "hnca+first-order", "HNCA", "HNCA, first order", "less a linear expansion, put back exactly",
        "function", ("#00a3a3",), parts={"baseline": "RunningMean", "control": "FirstOrder"},
    ),
    Method(
        "reinforce", "REINFORCE", "REINFORCE", "the score times the objective (Williams 1992)", "reward",
        ("#d55e00", "#e69f00", "#9c6b00"),
    ),
    Method("loo", "LeaveOneOut", "LOO", "two samples, each the other's baseline", "function", ("#009e73",)),
    Method(
        "loo-independent", "IndependentLeaveOneOut", "LOO, independent", "the same, of two whole passes", "function",
        ("#7fcfb9",),
    ),
    Method(
        "loo-4", "MultiSampleLeaveOneOut", "LOO, 4 samples", "four samples, each with the others as its baseline",
        "function", ("#66a61e",), {"samples": 4},
    ),
    Method(
        "loo-hnca", "LeaveOneOutHNCA", "HNCA with LOO", "two passes of HNCA, each the other's baseline", "function",
        ("#00c2c7",), {"samples": 2},
    ),
    Method(
        "hnca-1", "HNCA", "HNCA, 1 counterfactual", "one evaluated an example, if no closed form is", "function",
        ("#1f3a93", "#5c7cfa", "#8fa8ff"), {"counterfactuals": 1}, seldom=True,
    ),
    Method(
        "hnca-4", "HNCA", "HNCA, 4 counterfactuals", "four evaluated an example, if no closed form is", "function",
        ("#0b7285", "#22b8cf", "#66d9e8"), {"counterfactuals": 4}, seldom=True,
    ),
    Method(
        "double-cv", "DoubleControlVariates", "double CV", "four passes, less their linear part (Titsias & Shi 2022)",
        "function", ("#e6194b",), {"samples": 4},
    ),
    Method("disarm", "DisARM", "DisARM", "an antithetic pair (Dong et al. 2020)", "function", ("#cc79a7",)),
    Method(
        "arms", "ARMS", "ARMS", "four antithetic samples (Dimitriev & Zhou 2021)", "function", ("#a65628",),
        {"samples": 4}, binary=True,
    ),
    Method("arm", "ARM", "ARM", "augment, reinforce, merge (Yin & Zhou 2019)", "function", ("#8c564b",)),
    Method(
        "muprop", "MuProp", "MuProp", "a linear control variate (Gu et al. 2016)", "function", ("#c44ecb",),
        binary=True,
    ),
    Method("nvil", "NVIL", "NVIL", "a learned baseline, scaled (Mnih & Gregor 2014)", "reward", ("#7a8f00",)),
    Method(
        "local-expectation", "LocalExpectation", "local expectation", "every value of every unit evaluated", "function",
        ("#ff2a2a",), seldom=True,
    ),
    Method(
        "coupled-1", "CoupledAlternatives", "1 coupled alternative", "one unit's other value, what follows drawn alike",
        "function", ("#1b7f5c",), {"alternatives": 1}, seldom=True,
    ),
    Method(
        "coupled-4", "CoupledAlternatives", "4 coupled alternatives", "four such values, each in a pass of its own",
        "function", ("#2fbf8a",), {"alternatives": 4}, seldom=True,
    ),
    Method(
        "unordered-set", "UnorderedSet", "unordered set", "four values without replacement (Kool et al. 2020)",
        "function", ("#808080",), {"samples": 4}, seldom=True, joint_values=65_536,
    ),
    Method("rebar", "REBAR", "REBAR", "a relaxed control variate (Tucker et al. 2017)", "function", ("#9467bd",)),
    Method("relax", "RELAX", "RELAX", "a learned control variate (Grathwohl et al. 2018)", "function", ("#bcbd22",)),
    Method(
        "rodeo", "RODEO", "RODEO", "three passes with Stein operators (Shi et al. 2022)", "function", ("#d45500",),
    ),
    Method(
        "straight-through", "StraightThrough", "straight-through", "samples taken for means; biased", "function",
        ("#6b8e9e",),
    ),
    Method(
        "gumbel-softmax", "GumbelSoftmax", "Gumbel-softmax", "relaxed units; biased", "function", ("#ff6f91",)
    ),
    Method(
        "gumbel-softmax-st", "StraightThroughGumbelSoftmax", "Gumbel-softmax, straight-through",
        "relaxed units on the way back only; biased", "function", ("#8fbf3f",),
    ),
    Method(
        "gumbel-rao", "GumbelRao", "Gumbel-Rao", "the same, its noise averaged out; biased", "function", ("#4c9900",),
    ),
    Method(
        "gapped-st", "GappedStraightThrough", "gapped straight-through", "a margin in place of noise; biased",
        "function", ("#b5651d",),
    ),
    Method("reinmax", "ReinMax", "ReinMax", "straight-through to second order; biased", "function", ("#9b4dff",)),
    Method(
        "vimco", "VIMCO", "VIMCO", "trains on the bound of 5 samples (Mnih & Rezende 2016)", "bound", ("#2f8f8f",),
        {"samples": 5},
    ),
    Method(
        "local-disarm", "LocalDisARM", "local DisARM", "the same bound, antithetic pairs (Dong et al. 2020)", "bound",
        ("#808000",), {"samples": 5},
    ),
    Method(
        "rws", "ReweightedWakeSleep", "RWS", "its model by 5 weighted samples, its encoder to where they are; biased",
        "encoder", ("#aa6e28",), {"samples": 5},
    ),
    Method(
        "em", "ReweightedWakeSleep", "EM", "5 samples, each by its share of the likelihood (Tang & Salakhutdinov 2013)",
        "prior", ("#d2449b",), {"samples": 5},
    ),
)  # fmt: skip
METHODS: dict[str, Method] = {row.name: row for row in _ROWS}
"""By name; colours legible on white and on black."""


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
    if bound_samples is not None and row.needs in _OF_SEVERAL:
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
