"""Says what runs here: versions, devices, and which kernel the messages go by."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from hnca.experiments.settings import SettingsError
from hnca.experiments.training.devices import require_devices
from hnca.messages import compiled

PACKAGES = ("hnca", "jax", "jaxlib", "equinox", "optax", "numpy")


def device_line() -> str:
    """Returns a line for the head of a run: version, device, and which kernel the messages go by.

    Raises:
        SettingsError: if HNCA_KERNEL has a value that means nothing, or JAX cannot use its devices.
    """
    require_devices()
    device = jax.devices()[0]
    kernel = "the compiled kernel" if kernel_status().compiled else "pure JAX"
    return f"JAX {jax.__version__} on {device.device_kind} ({device.platform}), messages by {kernel}"


def environment() -> dict[str, Any]:
    """Returns what the last digits of a run's numbers depend on beside its settings, as JSON.

    Raises:
        SettingsError: if HNCA_KERNEL has a value that means nothing.
    """
    kernel = kernel_status()
    return {
        "host": platform.node(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "devices": [device.device_kind for device in jax.devices()],
        "platform": jax.devices()[0].platform,
        "kernel": f"compiled, vectors of {kernel.vector_bytes} bytes" if kernel.compiled else "jax",
        "random_numbers": str(jax.random.key_impl(jax.random.key(0))),
        "float": str(jnp.result_type(float)),
        "commit": _commit(),
    }


def processor() -> str:
    """Returns the name of the processor, as far as the system tells it, and how many of its cores there are."""
    described = Path("/proc/cpuinfo")
    text = described.read_text() if described.is_file() else ""
    named = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    name = named[1].strip() if named else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def _commit() -> str | None:
    """Returns the Git commit of this package, `-dirty` after it if files differ; None away from its repository."""
    git = shutil.which("git")
    here = Path(__file__)
    if git is None:
        return None
    # A package that is installed inside another project's repository is none of its files.
    tracked = subprocess.run([git, "ls-files", "--error-unmatch", here.name], cwd=here.parent, capture_output=True)
    if tracked.returncode != 0:
        return None
    describe = [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    found = subprocess.run(describe, cwd=here.parent, capture_output=True, text=True)
    return found.stdout.strip() or None


def kernel_status() -> compiled.Status:
    """Returns which kernel messages go by.

    Raises:
        SettingsError: if HNCA_KERNEL has a value that means nothing.
    """
    try:
        return compiled.status()
    except ValueError as error:
        raise SettingsError(str(error)) from None
