"""The registry of estimators: one entry each drives the tests of the protocol and of exactness."""

from typing import NamedTuple

import hnca


class Case(NamedTuple):
    """An estimator and what is claimed of it.

    Attributes:
        estimator: an instance.
        dominates_reinforce: whether its variance is never above plain REINFORCE's.
    """

    estimator: hnca.Estimator
    dominates_reinforce: bool


CASES = {
    "HNCA": Case(hnca.HNCA(), dominates_reinforce=True),
    "HNCA with all children": Case(hnca.HNCA(prune_children=False), dominates_reinforce=False),
    "HNCA with full reward": Case(hnca.HNCA(prune_upstream=False), dominates_reinforce=False),
    "HNCA with a running mean": Case(hnca.HNCA(hnca.RunningMean(0.9)), dominates_reinforce=False),
    "REINFORCE": Case(hnca.REINFORCE(), dominates_reinforce=True),
    "REINFORCE with a running mean": Case(hnca.REINFORCE(hnca.RunningMean(0.9)), dominates_reinforce=False),
}
