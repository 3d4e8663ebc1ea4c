"""Every estimator at one set of parameters: bias, variance, cost."""
