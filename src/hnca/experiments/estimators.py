"""Estimators by their names on the command line, and what tables and figures call them."""

from hnca.baselines import RunningMean
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


def estimator(name: str) -> Estimator:
    """Returns the estimator; `+baseline` gives it a running mean with decay 0.99."""
    kind, plus, _ = name.partition("+")
    baseline = RunningMean() if plus else None
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
    kind, plus, _ = name.partition("+")
    return f"{_LABELS[kind]}{' with baseline' if plus else ''}"
