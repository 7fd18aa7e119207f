"""What the machine of a benchmark is and can do: its name, NumPy's kernel, and two limits."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def timed(function: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def name_processor() -> str:
    """Return the processor's name, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:  # no Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def list_versions() -> str:
    """Return the versions of Python and of the packages that take part."""
    found = [f"Python {platform.python_version()}"]
    for package in ("numpy", "numba", "torch", "transformers", "onnxruntime"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


class Machine:
    """What the machine does with NumPy's own BLAS, measured in a process like the contestants'."""

    def __init__(self, directory: Path, folder: Path):
        import numpy  # noqa: F401  (threadpoolctl looks at what is loaded)

    def kernel(self) -> str:
        """Return which BLAS NumPy runs, and the kernel that it has chosen for this processor."""
        try:
            from threadpoolctl import threadpool_info
        except ImportError:
            return "unknown (threadpoolctl is not installed)"
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        names = [f"{p['internal_api']} {p['version']}, {p.get('architecture')}" for p in pools]
        return "; ".join(names) or "unknown to threadpoolctl"

    def limits(self) -> tuple[float, float]:
        """Return the most operations a second and the most bytes a second of several sizes.

        Operations of products of float32 matrices; bytes read in products of a matrix and a vector.
        """
        import numpy as np

        def fastest(shape: tuple[int, int], columns: int) -> float:
            a, b = np.ones(shape, np.float32), np.ones((shape[1], columns), np.float32)
            out = a @ b
            return min(timed(lambda: np.matmul(a, b, out=out)) for _ in range(4))

        shapes = [(768, 768, 128), (3072, 768, 1024), (2048, 2048, 2048)]
        rate = max(2 * n * k * m / fastest((n, k), m) for n, k, m in shapes)
        bandwidth = max(4 * n * 4096 / fastest((n, 4096), 1) for n in (4096, 16384))
        return rate, bandwidth
