"""How much the gradient varies from example to example, measured from the credits."""

from hnca.variance._gradient import gradient_variance as gradient_variance
from hnca.variance._gradient import mean_gradient_variance as mean_gradient_variance
