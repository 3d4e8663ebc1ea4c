"""The settings of commands that look at what is there: a report, an export, and what runs here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hnca.experiments.settings._checks import SettingsError, check_file


@dataclass(frozen=True)
class ReportSettings:
    """Write one HTML page about the runs in a directory: figures, final values, settings, pictures."""

    directory: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """What a command was given as --out, such as runs/vae."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """The page to write; by default DIR/report.html."""
    overwrite: bool = False
    """Replace the file also if it is something else than such a page."""

    def __post_init__(self):
        check_file("out", self.out)


@dataclass(frozen=True)
class ExportSettings:
    """Write a trained network to a safetensors file, to be loaded with hnca.load or by any reader of that format."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run's directory, such as runs/vae/2-hnca."""
    seed: int = 0
    """Which of the run's networks to export: its seed."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """The file to write; by default RUN/model-SEED.safetensors."""
    overwrite: bool = False
    """Replace the file also if it is something else than such a network."""

    def __post_init__(self):
        if self.seed < 0:
            raise SettingsError(f"--seed {self.seed}: expected 0, 1, ...")
        check_file("out", self.out)


@dataclass(frozen=True)
class InfoSettings:
    """Say which versions, devices and message kernel are in use here."""
