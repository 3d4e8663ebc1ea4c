"""Baselines: what is subtracted from a component before it is credited, without changing the expectation.

Each is a small pure pair: `predict` from the state, `update` of the state with what was observed after use.
"""

from hnca.baselines._base import Baseline as Baseline
from hnca.baselines.learned import LearnedBaseline as LearnedBaseline
from hnca.baselines.running_mean import RunningMean as RunningMean
