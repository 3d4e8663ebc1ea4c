"""The settings of the command that says what runs here: none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class InfoSettings:
    """Say which versions, devices and message kernel are in use here."""
