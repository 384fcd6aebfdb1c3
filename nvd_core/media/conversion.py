"""Conversions between a colour space that the user named and linear Rec.709, kept with a folder.

They were made of an OpenColorIO configuration (`input_space.py`) and need it no more: `colour/` has
one file for each direction, in OpenColorIO's own format, which holds all its tables. What a folder
holds may be a stranger's: a file that refers to another, or declares entities, is refused, and
OpenColorIO is given nothing to open but what was read here.
"""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np

from nvd_core.media.picture import InputSpace
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.inside import inside
from nvd_core.runtime.reading import reading, there

COLOUR = "colour"
"""folder of a decomposition's conversions"""
TO_WORKING, FROM_WORKING = f"{COLOUR}/to_rec709.ctf", f"{COLOUR}/from_rec709.ctf"
FORMAT = "Color Transform Format"
MOST_BYTES = 64 * 2**20
"""of a file of one direction; a table of 65 x 65 x 65 colours takes some 8 MB"""

_AGAIN = "copy the folder again with all its files, or make it again with `nvd decompose`"
_PROFILE = """ocio_profile_version: 2
roles: {default: raw}
file_rules: [!<Rule> {name: Default, colorspace: default}]
displays: {none: [!<View> {name: raw, colorspace: raw}]}
colorspaces: [!<ColorSpace> {name: raw, isdata: true}]
"""
_places: dict[str, Path] = {}
"""folders by the digest of the conversion that they hold"""


def ocio() -> Any:
    """The module PyOpenColorIO; NvdError where it is not installed."""
    try:
        import PyOpenColorIO
    except ImportError as error:
        raise NvdError(
            "OpenColorIO is not installed, and a colour space is to be converted",
            expected="the package opencolorio",
            found=str(error).splitlines()[0],
            remedy="install it into the engine's environment: pip install opencolorio",
        ) from error
    PyOpenColorIO.SetLoggingLevel(PyOpenColorIO.LOGGING_LEVEL_NONE)  # errors are exceptions
    return PyOpenColorIO


@dataclass(frozen=True)
class Conversion:
    """From a colour space to linear Rec.709, and back, each the text of a file."""

    to_working: str
    from_working: str

    @cached_property
    def digest(self) -> str:
        """Both files', in hexadecimal."""
        texts = (self.to_working.encode(), b"\0", self.from_working.encode())
        return hashlib.sha256(b"".join(texts)).hexdigest()

    @cached_property
    def to_linear(self) -> Callable[[np.ndarray], np.ndarray]:
        """From colours of the space, float32 [..., 3], to linear Rec.709."""
        return _function(self.to_working, f"{self.digest}-to.ctf")

    @cached_property
    def from_linear(self) -> Callable[[np.ndarray], np.ndarray]:
        """The inverse."""
        return _function(self.from_working, f"{self.digest}-from.ctf")

    def save(self, folder: Path) -> None:
        """Write `colour/` in `folder`, and know it from there on."""
        for name, text in ((TO_WORKING, self.to_working), (FROM_WORKING, self.from_working)):
            path = inside(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_beside(path, durable=True) as temporary:
                temporary.write_bytes(text.encode())
        known_in(folder, self.digest)


def known_in(folder: Path, digest: str) -> None:
    """Say that the conversion of that digest lies in `folder`; it is read when it is needed."""
    _places[digest] = Path(folder)


def conversion_of(space: InputSpace) -> Conversion:
    """The conversion of a space of a picture whose folder was opened; NvdError where damaged."""
    with _lock:
        return _loaded(space.digest)


_lock = threading.Lock()


@lru_cache(maxsize=4)
def _loaded(digest: str) -> Conversion:
    if digest not in _places:
        raise ValueError(f"no folder with the conversion {digest} was opened")
    return load_conversion(_places[digest], digest)


def load_conversion(folder: Path, digest: str) -> Conversion:
    """What `Conversion.save` wrote; NvdError where it is not that, or more than numbers."""
    texts = [_read(inside(folder, name)) for name in (TO_WORKING, FROM_WORKING)]
    conversion = Conversion(*texts)
    if conversion.digest != digest:
        raise NvdError(
            f"{inside(folder, COLOUR)} does not hold the conversion that the clip was made with",
            expected=f"files whose digest is {digest[:12]}...",
            found=f"{conversion.digest[:12]}...",
            remedy=_AGAIN,
        )
    for name, direction in ((TO_WORKING, "to_linear"), (FROM_WORKING, "from_linear")):
        with reading(folder / name, "the colour conversion", _AGAIN):
            getattr(conversion, direction)
    return conversion


def _read(path: Path) -> str:
    if not there(path.is_file):
        raise NvdError(f"files are missing: there is no {path}", remedy=_AGAIN)
    with reading(path, "the colour conversion", _AGAIN, also=(expat.ExpatError,)):
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES >> 20} MB")
        check_self_contained(data)
        return data.decode()


def check_self_contained(data: bytes) -> None:
    """ValueError where a file of OpenColorIO is more than numbers: another file, an entity."""

    def element(name: str, _: dict[str, str]) -> None:
        if name.rpartition(":")[2].lower() == "reference":
            raise ValueError("it refers to another file")

    def declared(*_: object) -> None:
        raise ValueError("it declares a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler = element
    parser.StartDoctypeDeclHandler = declared
    parser.EntityDeclHandler = declared
    parser.Parse(data, True)


def _function(text: str, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """What the file of that text does, each value on its own; ValueError where it is damaged."""
    lib = ocio()
    files = _OnlyThis(lib, name, text)
    try:
        config = lib.Config.CreateFromConfigIOProxy(files.proxy)
        processor = config.getProcessor(lib.FileTransform(src=name))
    except (lib.Exception, lib.ExceptionMissingFile) as error:
        raise ValueError(str(error)) from error
    return applied(processor, lib)


def applied(processor: Any, lib: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A processor of OpenColorIO as a function of colours [..., 3], without its approximations."""
    depth = lib.BIT_DEPTH_F32
    exact = processor.getOptimizedCPUProcessor(depth, depth, lib.OPTIMIZATION_LOSSLESS)

    def convert(colours: np.ndarray) -> np.ndarray:
        values = np.array(colours, np.float32, order="C")
        if values.size:
            exact.applyRGB(values)
        return values

    return convert


class _OnlyThis:
    """What OpenColorIO may read: a profile of nothing, and one file of that name."""

    def __init__(self, lib: Any, name: str, text: str) -> None:
        data = list(text.encode())

        class Proxy(lib.PyConfigIOProxy):
            def getConfigData(self) -> str:
                return _PROFILE

            def getLutData(self, path: str) -> Any:
                return lib.vector_of_uint8_t(data if path == name else [])

            def getFastLutFileHash(self, path: str) -> str:
                return name if path == name else ""

        self.proxy = Proxy()  # to be kept while OpenColorIO asks it
