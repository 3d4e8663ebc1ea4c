"""Estimators by their names on the command line, and what tables and figures call them."""

from collections.abc import Callable
from typing import Any

from hnca.baselines import Baseline, LearnedBaseline, RunningMean
from hnca.estimators import (
    ARM,
    HNCA,
    NVIL,
    REBAR,
    REINFORCE,
    RELAX,
    VIMCO,
    DisARM,
    Estimator,
    GumbelSoftmax,
    IndependentLeaveOneOut,
    LeaveOneOut,
    LeaveOneOutHNCA,
    LocalExpectation,
    MultiSampleLeaveOneOut,
    MuProp,
    ReinMax,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)

_LABELS = {
    "hnca": "HNCA",
    "hnca-all-children": "HNCA, all children",
    "hnca-full-reward": "HNCA, full reward",
    "reinforce": "REINFORCE",
    "loo": "LOO",
    "loo-independent": "LOO, independent",
    "loo-4": "LOO, 4 samples",
    "loo-hnca": "HNCA with LOO",
    "muprop": "MuProp",
    "local-expectation": "local expectation",
    "nvil": "NVIL",
    "disarm": "DisARM",
    "arm": "ARM",
    "rebar": "REBAR",
    "straight-through": "straight-through",
    "gumbel-softmax": "Gumbel-softmax",
    "gumbel-softmax-st": "Gumbel-softmax, straight-through",
    "reinmax": "ReinMax",
    "relax": "RELAX",
    "vimco": "VIMCO",
}

_BASELINES: dict[str, Callable[[], Baseline | None]] = {
    "": lambda: None,
    "baseline": RunningMean,
    "learned": LearnedBaseline,
}
_BASELINE_LABELS = {"": "", "baseline": " with baseline", "learned": " with learned baseline"}
_BASELINE_NAMES = {"": "none", "baseline": "running mean", "learned": "learned"}


def estimator(name: str) -> Estimator:
    """Returns the estimator; `+baseline` gives it a running mean with decay 0.99, `+learned` one of the inputs."""
    kind, _, suffix = name.partition("+")
    baseline = _BASELINES[suffix]()
    makers = {
        "hnca": lambda: HNCA(baseline),
        "hnca-all-children": lambda: HNCA(baseline, prune_children=False),
        "hnca-full-reward": lambda: HNCA(baseline, prune_upstream=False),
        "reinforce": lambda: REINFORCE(baseline),
        "loo": LeaveOneOut,
        "loo-independent": IndependentLeaveOneOut,
        "loo-4": lambda: MultiSampleLeaveOneOut(4),
        "loo-hnca": lambda: LeaveOneOutHNCA(2),
        "muprop": MuProp,
        "local-expectation": LocalExpectation,
        "nvil": NVIL,
        "disarm": DisARM,
        "arm": ARM,
        "rebar": REBAR,
        "straight-through": StraightThrough,
        "gumbel-softmax": GumbelSoftmax,
        "gumbel-softmax-st": StraightThroughGumbelSoftmax,
        "reinmax": ReinMax,
        "relax": RELAX,
        "vimco": lambda: VIMCO(5),
    }
    return makers[kind]()


def label(name: str) -> str:
    """Returns how tables and figures name an estimator."""
    kind, _, suffix = name.partition("+")
    return f"{_LABELS[kind]}{_BASELINE_LABELS[suffix]}"


def kind_and_baseline(name: str) -> tuple[str, str]:
    """Returns an estimator's name without its baseline, and what the baseline is called in the metrics."""
    kind, _, suffix = name.partition("+")
    return kind, _BASELINE_NAMES[suffix]


def with_baseline(kind: str, baseline: str) -> str:
    """Returns the name of which `kind_and_baseline` made these two."""
    suffix = {called: suffix for suffix, called in _BASELINE_NAMES.items()}[baseline]
    return f"{kind}+{suffix}" if suffix else kind


def method_label(row: dict[str, Any]) -> str:
    """Returns how tables and figures name the estimator of a row."""
    baseline = row.get("baseline", "none")  # the rows of auto-encoders have it in the estimator's name
    return label(with_baseline(row["estimator"], baseline) if baseline != "none" else row["estimator"])


def is_known(row: dict[str, Any]) -> bool:
    """Returns whether a row is of an estimator that has a label."""
    try:
        return bool(method_label(row))
    except (KeyError, TypeError):
        return False


def is_ablation(row: dict[str, Any]) -> bool:
    """Returns whether a row is of HNCA without one of its prunings."""
    return row["estimator"].startswith("hnca-")
