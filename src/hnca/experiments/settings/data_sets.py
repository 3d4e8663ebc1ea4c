"""The settings of the command that looks after data sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from hnca.experiments.data.catalogue import CATALOGUE
from hnca.experiments.data.loading import is_file
from hnca.experiments.settings._checks import SettingsError


@dataclass(frozen=True)
class DataSetSettings:
    """List the data sets that are known by name, get them from their publishers, or check the files.

    list: which there are, and where on this machine. get: download what is not there yet; what was interrupted goes on.
    check: compare files with their digests, those of the names given or all that are here, or a .npz file of your own.
    """

    action: Annotated[Literal["list", "get", "check"], tyro.conf.Positional]
    """What to do: list, get or check."""
    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[NAME ...]")] = ()
    """Which data sets, by name; for check also .npz files."""
    data_dir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """The directory where data sets are put, and looked for first; by default $HNCA_DATA, or else the user's cache."""
    mirror: Annotated[str | None, tyro.conf.arg(metavar="URL")] = None
    """An address below which NAME/FILE are, instead of the publisher's."""

    def __post_init__(self):
        unknown = [name for name in self.names if name not in CATALOGUE and not self._is_checked_file(name)]
        if unknown:
            files = ", or files PATH.npz" if self.action == "check" else ""
            raise SettingsError(
                f"{' '.join(unknown)}: no such data set; expected some of {', '.join(CATALOGUE)}{files}"
            )
        if self.action == "get" and not self.names:
            raise SettingsError(f"data get: no names; expected some of {', '.join(CATALOGUE)}")
        if self.action == "list" and self.names:
            raise SettingsError(f"data list {' '.join(self.names)}: expected no names")
        if self.mirror is not None and self.action != "get":
            raise SettingsError(f"--mirror {self.mirror}: expected none with data {self.action}, which gets nothing")
        if self.mirror is not None and not self.mirror.startswith(("https://", "http://")):
            raise SettingsError(f"--mirror {self.mirror}: expected an address that begins with https:// or http://")

    def _is_checked_file(self, name: str) -> bool:
        return self.action == "check" and is_file(name)
