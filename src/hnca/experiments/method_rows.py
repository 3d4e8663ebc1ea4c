"""Every estimator that the experiments know: a row is all that the command line, figures and tables need of it."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Needs = Literal["reward", "function", "bound", "encoder", "prior"]
"""What an estimator learns from: a reward that is only observed, a known function, or a bound of several samples'
weights, be it of any proposal, of an encoder's samples, or of the prior's own."""
OF_SEVERAL = frozenset({"bound", "encoder", "prior"})


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
