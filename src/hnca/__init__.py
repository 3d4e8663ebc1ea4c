"""Unbiased, low-variance gradients for networks of discrete stochastic units.

The public names stand in `__init__.pyi`; each is imported when it is first used, so that the command line can answer
without waiting for JAX.
"""

import difflib
import importlib.metadata

import lazy_loader

_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """Returns a public name, or says which one is near it."""
    if name == "__version__":
        return importlib.metadata.version("hnca")
    if name in __all__ or name.startswith("_"):
        return _attribute(name)
    near = difflib.get_close_matches(name, __all__, n=1)
    raise AttributeError(f"module 'hnca' has no name {name!r}" + (f"; did you mean {near[0]!r}?" if near else "."))
