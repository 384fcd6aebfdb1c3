"""Which build of PyTorch suits this machine, where it comes from, and how large it is.

    build = choose_build("auto")    # AddonError where PyTorch has none for this machine

No bpy here.
"""

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import AddonError
from ..jobs.process import clean_environment, hidden

VERSION = "2.13.0"
TORCH = f"torch=={VERSION}"
INDEX = "https://download.pytorch.org/whl/"
CHOICES = ("auto", "cpu", "cuda")
OLDEST_MACOS = 14


@dataclass(frozen=True)
class TorchBuild:
    """A build of PyTorch.

    `kind` is cpu or cuda, `tag` the ending of its version: cpu, cu130, cu126, or "" for the one
    that macOS has. `sure` tells whether CUDA was asked for by name, and not only for a driver that
    was found. `download` and `size`, in GB, are those of the whole engine.
    """

    kind: str
    tag: str
    sure: bool = False

    @property
    def title(self) -> str:
        return {"cu130": "CUDA 13.0", "cu126": "CUDA 12.6"}.get(self.tag, "CPU")

    @property
    def download(self) -> float:
        return 3.0 if self.kind == "cuda" else 0.5

    @property
    def size(self) -> float:
        return 8.0 if self.kind == "cuda" else 1.7

    @property
    def index(self) -> str:
        """PyTorch's own index where pip's usual one does not have this build, else ""."""
        # PyPI: CUDA 13.0 for Linux, the CPU alone for Windows
        usual = {"linux": ("cpu", "cu130"), "win32": ("cpu",)}.get(sys.platform, ("",))
        return "" if self.tag in usual else INDEX + self.tag

    def steps(self, pip: list[str], index: str) -> dict:
        """The job's step that installs it by the command `pip`, from `index` where that is given.

        The build is asked for by its name: an index that has several would choose another.
        """
        title = f"installing PyTorch ({self.tag if self.kind == 'cuda' else 'cpu'})"
        usual = [*pip, *index_options(index), TORCH]
        if index or (self.kind == "cpu" and sys.platform == "linux"):
            if not self.tag:
                return {"title": title, "command": usual}
            named = [*pip, *index_options(index), f"{TORCH}+{self.tag}"]
            return {"title": title, "command": named, "otherwise": usual}
        if not self.index:
            return {"title": title, "command": usual}
        step = {"title": title, "command": [*pip, "--index-url", self.index]}
        step["command"].append(f"{TORCH}+{self.tag}")
        if not self.sure:  # it works without, and the test at the end says so
            step["otherwise"] = usual
        return step


def choose_build(asked: str) -> TorchBuild:
    """The build for `asked` (cpu, cuda, auto) here; AddonError where PyTorch has none.

    Waits for nvidia-smi, a second or so.
    """
    if asked not in CHOICES:
        raise ValueError(f"build should be auto, cpu or cuda, not {asked!r}")
    if sys.platform == "darwin":
        _check_mac(asked)
        return TorchBuild("cpu", "")
    gpu = _nvidia() if asked != "cpu" else None
    if asked == "cpu" or (asked == "auto" and gpu is None):
        return TorchBuild("cpu", "cpu")
    return TorchBuild("cuda", _tag(gpu), sure=asked == "cuda")


def index_options(index: str) -> list[str]:
    """pip's options for a package index or a folder of wheels; none for ""."""
    if not index:
        return []
    return ["--no-index", "--find-links", index] if Path(index).is_dir() else ["--index-url", index]


def _check_mac(asked: str) -> None:
    if platform.machine() != "arm64":
        raise AddonError(
            f"PyTorch {VERSION}, which the engine needs, does not exist for Macs with Intel "
            "processors: they stop at 2.2.2",
            "decompose on another machine; what it made opens here. On Apple silicon, use the "
            "Blender that was built for it",
        )
    found = platform.mac_ver()[0]
    if found and int(found.partition(".")[0]) < OLDEST_MACOS:
        raise AddonError(
            f"PyTorch {VERSION}, which the engine needs, exists from macOS {OLDEST_MACOS} on, and "
            f"this is macOS {found}",
            "update macOS, or decompose on another machine; what it made opens here",
        )
    if asked == "cuda":
        raise AddonError("there is no CUDA for macOS", "choose the build Automatic or CPU")


def _nvidia() -> tuple[float, float] | None:
    """The NVIDIA driver's version and the least compute capability of its GPUs; zeros where they
    are not known, None where there is no driver.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=20,
            env=clean_environment(),
            **hidden(),
        )
        rows = [line.split(",") for line in done.stdout.splitlines() if line.count(",") == 1]
        gpus = [(float(driver.split(".")[0]), float(able)) for driver, able in rows]
    except (OSError, ValueError, subprocess.TimeoutExpired):
        gpus = []
    return (gpus[0][0], min(able for _, able in gpus)) if gpus else (0.0, 0.0)


def _tag(gpu: tuple[float, float] | None) -> str:
    """CUDA 13 needs driver 580 and a GPU of 2018 or later (compute capability 7.5); CUDA 12.6 has
    nothing for those of 2025 (10 and more), whose driver must be brought up to date.
    """
    driver, able = gpu or (0.0, 0.0)
    return "cu126" if 0 < able < 7.5 or (0 < driver < 580 and able < 10) else "cu130"
