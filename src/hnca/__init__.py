"""Unbiased, low-variance gradients for networks of discrete stochastic units.

The public names stand in `__init__.pyi`; each is imported when it is first used, so that the command line can answer
without waiting for JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
