"""What a user may set, checked when it is built. Imports no JAX, so that mistakes answer at once.

What is named here is imported when it is first used: a trained network can be loaded without the parser of the command
line.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
