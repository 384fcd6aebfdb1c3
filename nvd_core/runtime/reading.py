"""The door of every reader: whatever is wrong with a file becomes one NvdError that names it.

    with reading(path, "the tracks", remedy="give an .npz file"):
        ...                       # nothing but reading the file, and checking what it holds

What libraries raise for a damaged file is not to be foreseen one by one: a reader of NumPy's arrays
alone has some ten kinds. Keep the context tight, as an error of the program in it would be taken
for one of the file; it is chained, and NVD_DEBUG=1 shows it.
"""

import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nvd_core.runtime.documents import Unreadable
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.memory import is_out_of_memory, out_of_memory

DAMAGE: tuple[type[Exception], ...] = (
    Unreadable,
    OSError,
    ValueError,  # and all of Unicode
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,  # torch, OpenCV's start, recursion, zip files with a password
    MemoryError,
    SyntaxError,
    AssertionError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    pickle.PickleError,
    tokenize.TokenError,
)
_LONGEST = 200


@contextmanager
def reading(
    path: Path | str,
    what: str,
    remedy: str,
    *,
    problem: str = "",
    expected: str = "",
    also: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Read and check the file `path`, `what` in words; NvdError where that goes wrong.

    `problem` says it in other words than "cannot read"; `also` are the kinds of exception that only
    one library knows.
    """
    try:
        yield
    except (*DAMAGE, *also) as error:
        if is_out_of_memory(error):
            raise out_of_memory(error, f"to read {path}") from error
        said = problem or f"cannot read {what} {path}"
        raise NvdError(said, expected=expected, found=reason(error), remedy=remedy) from error


def reason(error: BaseException) -> str:
    """What an exception says, as one line that is not too long."""
    if isinstance(error, KeyError) and error.args:
        return f"no {str(error.args[0])[:_LONGEST]} in it"
    text = getattr(error, "strerror", None) or str(error)
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    line = lines[0] if lines else type(error).__name__
    return line[:_LONGEST].encode("utf-8", "backslashreplace").decode()


def there(test: Callable[[], Any]) -> bool:
    """Whether a path leads to something, by `path.is_file` or its like.

    False also for one that cannot even be asked for: a name of 300 characters, a folder that may
    not be entered, a null character.
    """
    try:
        return bool(test())
    except (OSError, ValueError):
        return False


def require_finite(array: np.ndarray, what: str) -> np.ndarray:
    """The array; ValueError where one of its numbers is infinite or none."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"NaN or infinity in {what}")
    return array
