"""Runs on disk: what was set, what was measured, where training stood, and who is at work on it. Imports no JAX.

The names stand in `__init__.pyi`; each is imported when it is first used, so that a trained network can be loaded
without the packages that only writing needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
