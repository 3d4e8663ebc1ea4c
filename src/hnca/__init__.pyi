"""Unbiased, low-variance gradients for networks of discrete stochastic units."""

from . import exact as exact
from . import variance as variance
from .baselines import Baseline as Baseline
from .baselines import RunningMean as RunningMean
from .conditionals import Apply as Apply
from .conditionals import Dense as Dense
from .conditionals import Free as Free
from .estimators import HNCA as HNCA
from .estimators import REINFORCE as REINFORCE
from .estimators import Estimate as Estimate
from .estimators import Estimator as Estimator
from .estimators import surrogate as surrogate
from .estimators import value_and_grad as value_and_grad
from .messages import message as message
from .network import Network as Network
from .network import Trace as Trace
from .objectives import Component as Component
from .objectives import Objective as Objective
from .objectives import Reward as Reward
from .units import Bernoulli as Bernoulli
from .units import Categorical as Categorical
from .units import Conditional as Conditional
from .units import Layer as Layer
