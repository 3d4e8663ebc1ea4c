"""Timing side by side: machines are noisy, so what is compared is run in turns, and the medians are reported."""

import statistics
import time
from collections.abc import Callable, Mapping

import jax


def interleaved_medians(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns the median seconds of each call, all called once to warm up and then `repeats` times in turns."""
    for call in calls.values():
        jax.block_until_ready(call())
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}
