"""Objectives: what is to be made large, as a sum of components. One kind of component a file."""

from hnca.objectives._base import Component as Component
from hnca.objectives._checked import checked_changes as checked_changes
from hnca.objectives._checked import checked_contrast as checked_contrast
from hnca.objectives._objective import Objective as Objective
from hnca.objectives._objective import as_objective as as_objective
from hnca.objectives.elbo import ELBO as ELBO
from hnca.objectives.entropy import Entropy as Entropy
from hnca.objectives.function import Function as Function
from hnca.objectives.linear import Linear as Linear
from hnca.objectives.log_prob import LogProb as LogProb
from hnca.objectives.mediation import Role as Role
from hnca.objectives.mediation import roles as roles
from hnca.objectives.reward import Reward as Reward
from hnca.objectives.sampled_entropy import SampledEntropy as SampledEntropy
from hnca.objectives.weighted import Weighted as Weighted
