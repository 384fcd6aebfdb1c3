"""What the user is told of an exception that is a fault of the program, or of a full disk.

The traceback goes to a log file: in the decomposition folder where there is one, so that it travels
with it, else in the system's folder for temporary files.
"""

import errno
import os
import platform
import sys
import tempfile
import traceback
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from nvd_core import __version__
from nvd_core.begun import ERROR_LOG, is_begun
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import cannot_write
from nvd_core.runtime.inside import inside
from nvd_core.runtime.memory import is_out_of_memory, out_of_memory
from nvd_core.runtime.shown import visible

_REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_OF_PATHS = {
    errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP,
    errno.EIO, errno.EMFILE, errno.ESTALE,
}  # fmt: skip
DEBUG = "NVD_DEBUG"


def foreseen(error: Exception) -> NvdError | None:
    """What to tell of an exception that no program can help; None for any other.

    Too little memory, a disk that is full or read-only, and what a system refuses to do with a
    file that it names.
    """
    if is_out_of_memory(error):
        return out_of_memory(error)
    if not isinstance(error, OSError):
        return None
    if error.errno in _REFUSED:
        return cannot_write(Path(error.filename or tempfile.gettempdir()), error)
    if error.filename is None or error.errno not in _OF_PATHS:
        return None
    return NvdError(
        f"cannot use {error.filename}",
        found=error.strerror or str(error),
        remedy="check the path, and whether you may read and write there",
    )


def unexpected(error: Exception, folder: Path | None) -> NvdError:
    """Log the traceback, of a command about `folder`; returns what to tell."""
    log = _logged(error, folder)
    where = f"its traceback is in {log}" if log else f"set {DEBUG}=1 to see its traceback"
    first = (str(error).strip() or "no message").splitlines()[0]
    return NvdError(
        f"unexpected {type(error).__name__}: {first[:200]}",
        remedy=f"this is a fault of the program, please report it; {where}",
    )


def _logged(error: Exception, folder: Path | None) -> Path | None:
    """The file to which the traceback was added; None where none can be written."""
    places = [Path(tempfile.gettempdir(), f"nvd-error-{os.getpid()}.log")]
    if folder is not None and is_begun(folder):
        with suppress(NvdError):  # a link there, or one on the way, may lead anywhere
            places.insert(0, inside(folder, ERROR_LOG))
    head = (
        f"{datetime.now().astimezone().isoformat(' ', 'seconds')} nvd {__version__}, "
        f"Python {platform.python_version()}, {platform.platform()}\n{sys.argv}\n"
    )
    lines = [*head.splitlines(), *"".join(traceback.format_exception(error)).split("\n")]
    text = "\n".join(map(visible, lines)) + "\n"
    for place in places:
        try:
            with place.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return place.absolute()
        except OSError:
            continue
    return None
