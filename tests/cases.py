"""The registry of estimators: one entry each drives the tests of the protocol and of exactness."""

from typing import NamedTuple

import hnca

LOG_WEIGHT = "auto-encoder with sampled entropies"
"""Whose value is the log of an importance weight, for estimators of the bound of several samples."""


class Case(NamedTuple):
    """An estimator and what is claimed of it.

    Attributes:
        estimator: an instance.
        dominates_reinforce: whether its variance is never above plain REINFORCE's.
        everywhere: whether it is enumerated on every network and objective, or, being another's credit with a baseline,
            on some.
        draws: whether it evaluates the objective elsewhere than at the trace, mostly on samples of its own.
        biased: whether it is known to be biased, as one that differentiates the objective by the units' values is.
        objective: the known function for those that do, by its name in `OBJECTIVES`.
    """

    estimator: hnca.Estimator
    dominates_reinforce: bool
    draws: bool = False
    everywhere: bool = False
    biased: bool = False
    objective: str = "2-layer auto-encoder"


ALL_CASES = {
    "HNCA": Case(hnca.HNCA(), dominates_reinforce=True, everywhere=True),
    "HNCA with all children": Case(hnca.HNCA(prune_children=False), dominates_reinforce=False),
    "HNCA with full reward": Case(hnca.HNCA(prune_upstream=False), dominates_reinforce=False),
    "HNCA with a running mean": Case(hnca.HNCA(hnca.RunningMean(0.9)), dominates_reinforce=False),
    "HNCA with the paper's running mean": Case(hnca.HNCA(hnca.RunningMean(0.9, debias=False)), False),
    "HNCA with a learned baseline": Case(hnca.HNCA(hnca.LearnedBaseline()), dominates_reinforce=False),
    "HNCA with a first-order control": Case(
        hnca.HNCA(hnca.RunningMean(0.9), control=hnca.FirstOrder()), dominates_reinforce=False, draws=True
    ),
    "REINFORCE": Case(hnca.REINFORCE(), dominates_reinforce=True),
    "REINFORCE with a running mean": Case(hnca.REINFORCE(hnca.RunningMean(0.9)), dominates_reinforce=False),
    "LeaveOneOut": Case(hnca.LeaveOneOut(), dominates_reinforce=False, draws=True),
    "IndependentLeaveOneOut": Case(hnca.IndependentLeaveOneOut(3), dominates_reinforce=False, draws=True),
    "Exact": Case(hnca.Exact(), dominates_reinforce=True, draws=True),
    "HNCA with leave-one-out": Case(hnca.LeaveOneOutHNCA(3), dominates_reinforce=False, draws=True),
    "MultiSampleLeaveOneOut": Case(hnca.MultiSampleLeaveOneOut(3), dominates_reinforce=False, draws=True),
    "DoubleControlVariates": Case(hnca.DoubleControlVariates(3), dominates_reinforce=False, draws=True),
    "UnorderedSet": Case(hnca.UnorderedSet(3), dominates_reinforce=False, draws=True),
    "LocalExpectation": Case(hnca.LocalExpectation(), dominates_reinforce=False, draws=True),
    "CoupledAlternatives": Case(hnca.CoupledAlternatives(2), dominates_reinforce=False, draws=True),
    "MuProp": Case(hnca.MuProp(), dominates_reinforce=False, draws=True),
    "NVIL": Case(hnca.NVIL(normalise=False), dominates_reinforce=False),
    "DisARM": Case(hnca.DisARM(), dominates_reinforce=False, draws=True),
    "ARMS": Case(hnca.ARMS(3), dominates_reinforce=False, draws=True),
    "ARM": Case(hnca.ARM(), dominates_reinforce=False, draws=True),
    "REBAR": Case(hnca.REBAR(), dominates_reinforce=False, draws=True),
    "RELAX": Case(hnca.RELAX(), dominates_reinforce=False, draws=True),
    "RODEO": Case(hnca.RODEO(hidden_units=4), dominates_reinforce=False, draws=True),
    "StraightThrough": Case(hnca.StraightThrough(), dominates_reinforce=False, biased=True),
    "ReinMax": Case(hnca.ReinMax(), dominates_reinforce=False, biased=True),
    "GumbelSoftmax": Case(hnca.GumbelSoftmax(), dominates_reinforce=False, draws=True, biased=True),
    "StraightThroughGumbelSoftmax": Case(
        hnca.StraightThroughGumbelSoftmax(), dominates_reinforce=False, draws=True, biased=True
    ),
    "GumbelRao": Case(hnca.GumbelRao(draws=3), dominates_reinforce=False, draws=True, biased=True),
    "GappedStraightThrough": Case(hnca.GappedStraightThrough(), dominates_reinforce=False, biased=True),
    "VIMCO": Case(hnca.VIMCO(3), False, draws=True, objective=LOG_WEIGHT),
    "LocalDisARM": Case(hnca.LocalDisARM(3), False, draws=True, objective=LOG_WEIGHT),
    "ReweightedWakeSleep": Case(hnca.ReweightedWakeSleep(3), False, draws=True, biased=True, objective=LOG_WEIGHT),
}

VARIANTS = {
    "HNCA with all children",
    "HNCA with full reward",
    "HNCA with the paper's running mean",
    "REINFORCE with a running mean",
}
"""Those that differ from another case by an option, which changes what they credit and nothing else."""

CASES = {name: case for name, case in ALL_CASES.items() if not (case.draws or case.biased)}
"""Those that are unbiased functions of the trace."""
