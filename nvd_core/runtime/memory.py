"""How much memory this process may use, and what is told where it does not suffice."""

import errno
import re
import sys

from nvd_core.runtime.errors import NvdError

if sys.platform != "win32":
    import resource

LEAST_TO_START = 2 << 30
"""bytes of addresses without which the libraries cannot even be loaded: some then end the process
without a word"""
_ASKED = re.compile(r"allocate ([0-9.]+) ?([KMGTPE]?i?B|bytes)", re.IGNORECASE)
_UNITS = {"B": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}
_WORDS = (
    "can't allocate memory",  # torch, of the CPU
    "out of memory",  # torch, of CUDA
    "insufficient memory",  # OpenCV
    "cannot allocate memory",
    "std::bad_alloc",
    "can't start new thread",  # Python, where no addresses are left for its stack
    "failed to map segment",  # the system, of a library
)


def allowed() -> int | None:
    """Bytes of addresses that this process may use (`ulimit -v`); None where there is no limit."""
    if sys.platform == "win32":
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def check_start() -> None:
    """NvdError where the limit is too low for anything to be done."""
    limit = allowed()
    if limit is not None and limit < LEAST_TO_START:
        raise _refused(gigabytes(LEAST_TO_START))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of any library says that memory did not suffice."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    kinds = RuntimeError | ImportError | OSError | SystemError
    if not isinstance(error, kinds) and not type(error).__module__.startswith("cv2"):
        return False
    text = str(error).lower()
    return any(words in text for words in _WORDS)


def out_of_memory(error: BaseException, doing: str = "") -> NvdError:
    """The words for it; `doing` says what the memory was for, such as "to read x.png"."""
    asked = _ASKED.search(str(error))
    needed = "more"
    if asked:
        unit = "B" if asked[2].lower() == "bytes" else asked[2][0].upper()
        needed = f"{gigabytes(int(float(asked[1]) * 2.0 ** _UNITS[unit]))} more"
    return _refused(needed, doing)


def gigabytes(count: int) -> str:
    """A number of bytes in words."""
    return f"{count / 2**30:.2g} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"


def _refused(needed: str, doing: str = "") -> NvdError:
    limit = allowed()
    may = "all that the machine has" if limit is None else gigabytes(limit)
    return NvdError(
        f"the memory does not suffice{f' {doing}' if doing else ''}: this needs {needed}",
        found=f"this process may use {may}",
        remedy="close other programs, raise the limit (ulimit -v), or give a smaller clip or "
        "--height",
    )
