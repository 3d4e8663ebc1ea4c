"""How large what is trained can be: what a user may set, and what a stored run may say of itself."""

MOST = 2**31 - 1
"""Of anything: what devices count with."""
MOST_LAYERS = 1000
"""Stochastic hidden layers of one network."""
MOST_UNITS = 2**20
"""Units of a layer, pixels of an image, or classes."""
MOST_SEEDS = 10_000
"""Networks that are trained together, in one memory."""
