"""Programs: unbiased gradients for any JAX function with discrete draws in it."""

import os

import equinox
import jaxtyping
from jax.extend import source_info_util

from hnca.programs.checking import check_unbiased as check_unbiased
from hnca.programs.draws import bernoulli as bernoulli
from hnca.programs.draws import categorical as categorical
from hnca.programs.explaining import explain as explain
from hnca.programs.likelihoods import entropy as entropy
from hnca.programs.likelihoods import log_prob as log_prob
from hnca.programs.observing import log_weight as log_weight
from hnca.programs.observing import observed as observed
from hnca.programs.transforms import credited as credited
from hnca.programs.transforms import grad as grad
from hnca.programs.transforms import value_and_grad as value_and_grad

# What is told of a draw is the user's line, not ours.
for _file in (__file__, equinox.__file__, jaxtyping.__file__):
    source_info_util.register_exclusion(os.path.dirname(_file))
