"""The settings of a report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class ReportSettings:
    """Write one HTML page about the runs in a directory: figures, final values, settings, pictures."""

    directory: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """What a command was given as --out, such as runs/vae."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """The page; by default DIR/report.html."""
