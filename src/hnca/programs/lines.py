"""Where in the user's text an equation stands."""

import os
from pathlib import Path
from typing import Any

import jax
from jax.extend import source_info_util

_LIBRARY = f"{Path(__file__).parent.parent}{os.sep}"
_JAX = f"{Path(jax.__file__).parent}{os.sep}"
_FRAMES = 32
"""How far out the user's line is looked for."""


def line_of(source: Any) -> str:
    """Returns the user's line: the innermost one that is in no installed package, if there is such a one."""
    innermost = source_info_util.summarize(source)
    if not _is_installed(innermost):
        return innermost
    lines = source_info_util.summarize(source, num_frames=_FRAMES).splitlines()
    return next((line for line in lines if not _is_installed(line)), innermost)


def is_of_this_library(source: Any) -> bool:
    """Returns whether an equation was made by this library itself, as by a gradient that is taken inside of another.

    By the innermost frame that is none of JAX's: those of programs are left out of what JAX calls the user's.
    """
    frames = source.traceback.frames if source.traceback is not None else []
    innermost = next((frame.file_name for frame in frames if not frame.file_name.startswith(_JAX)), "")
    return innermost.startswith(_LIBRARY)


def _is_installed(line: str) -> bool:
    return "site-packages" in line or "dist-packages" in line or line.startswith(_LIBRARY)
