"""Puts the compiled kernel into the wheel if HNCA_WHEEL_KERNEL=1, which makes it one for this platform."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags


class KernelHook(BuildHookInterface):
    """Does nothing unless it is asked to; an editable installation compiles the kernel when it is first used."""

    @property
    def _is_asked(self) -> bool:
        return os.environ.get("HNCA_WHEEL_KERNEL") == "1"

    def dependencies(self) -> list[str]:
        """Returns what the library imports, since its own code compiles."""
        return self.metadata.core.dependencies if self._is_asked else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compiles, and adds the library and the platform's tag."""
        if not self._is_asked or version == "editable":
            return
        sys.path.insert(0, str(Path(self.root) / "src"))
        from hnca.messages.compiled.build import build_to_ship

        self._folder = tempfile.TemporaryDirectory()
        library = build_to_ship(Path(self._folder.name))
        build_data["force_include"][str(library)] = f"hnca/messages/compiled/{library.name}"
        build_data["pure_python"] = False
        # One that begins with `linux_` does not say which C library it needs.
        platform = next(tag for tag in platform_tags() if not tag.startswith("linux_"))
        build_data["tag"] = f"py3-none-{platform}"
