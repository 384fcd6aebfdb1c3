"""What a figure was measured on: hardware, versions, commit."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = (
    "torch",
    "numba",
    "numpy",
    "openimageio",
    "opencv-python-headless",
    "av",
    "triton",
    "tinycudann",
)


def hardware() -> dict:
    """Processor, cores that this process may use, memory, GPU, and how busy the machine is."""
    import torch

    gpu = None
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        gpu = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return {
        "processor": processor(),
        "cores": cores(),
        "memory_gib": memory_gib(),
        "gpu": gpu,
        "system": platform.platform(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_gib() -> float | None:
    """Memory of the machine; None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def versions() -> dict[str, str | None]:
    """Of Python and of the packages that decide the speed; None where one is not installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    if found["torch"]:
        found["torch"] = sys.modules["torch"].__version__ if "torch" in sys.modules else None
    return found


def commit() -> dict:
    """Hash of the working tree's commit, and whether files that it holds were changed since."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return {"hash": git("rev-parse", "--short", "HEAD") or None, "dirty": bool(changed)}
    except OSError:  # no git
        return {"hash": None, "dirty": None}
