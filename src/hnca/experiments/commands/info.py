"""What `hnca info` does."""

import importlib.metadata
import platform

import jax
from rich.console import Console

from hnca.experiments.runs.environment import PACKAGES, kernel_status, processor
from hnca.experiments.settings import InfoSettings
from hnca.experiments.training.devices import require_devices


def print_information(_: InfoSettings, console: Console) -> None:
    """Prints a line for each of them; builds the compiled kernel if it has not been built.

    Raises:
        SettingsError: if HNCA_KERNEL has a value that means nothing, or JAX cannot use its devices.
    """
    require_devices()
    devices = ", ".join(f"{device.device_kind} ({device.platform})" for device in jax.devices())
    status = kernel_status()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    compiled = f"compiled, vectors of {status.vector_bytes} bytes, {status.detail}"
    kernel = compiled if status.compiled else f"pure JAX, as {status.detail}"
    lines = {
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "packages": versions,
        "CPU": processor(),
        "devices": devices,
        "messages": kernel,
    }
    for name, text in lines.items():
        console.print(f"{name + ':':10}{text}", soft_wrap=True, highlight=False)
