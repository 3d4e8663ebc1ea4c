"""Experiments on sixty images of noise, so that an epoch takes milliseconds; in this process and in others."""

import os
import subprocess
import sys

import jax.numpy as jnp
import numpy as np

from hnca.experiments.data.images import Images

COMMON = ["--width", "4", "--batch-size", "10", "--learning-rate", "0.01", "--seeds", "2"]
BANDIT = ["bandit", *COMMON, "--layers", "1", "--estimators", "hnca+baseline"]
VAE = ["vae", *COMMON, "--layers", "2", "--estimators", "hnca+baseline", "--bound-samples", "1"]


def images(_=None):
    def some(count):
        pixels = np.random.default_rng(0).integers(0, 256, (count, 784), dtype=np.uint8)
        return Images(jnp.asarray(pixels), jnp.arange(count, dtype=jnp.int32) % 10)

    return some(60), some(20)


def start(arguments, before="", **environment):
    """Starts a process that runs the command on these images."""
    script = (
        # Where the tests run in the background, interruptions are ignored, and children inherit that.
        "import signal, sys, small\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from hnca.__main__ import command\nfrom hnca.experiments.runs import trainer\n"
        f"trainer.on_device = small.images\n{before}\n"
        f"sys.argv[1:] = {[str(a) for a in arguments]!r}\ncommand()"
    )
    here = os.path.dirname(__file__)
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": path, **environment}
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
