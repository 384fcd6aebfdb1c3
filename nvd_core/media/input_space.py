"""A colour space of an OpenColorIO configuration, as conversions to linear Rec.709 and back.

The configuration's interchange roles say what its colours are, so that both ends are known. The
conversions are checked before they are used: what is painted has to come back.
"""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nvd_core.media.conversion import (
    FORMAT,
    MOST_BYTES,
    Conversion,
    applied,
    check_self_contained,
    ocio,
)
from nvd_core.media.picture import InputSpace, Picture
from nvd_core.media.values import decode_srgb, encode_srgb
from nvd_core.media.working import working_colours
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import reason, there

BUILT_IN = "ocio://studio-config-latest"
"""OpenColorIO's own ACES configuration with the cameras' spaces"""
_OURS, _REC709 = "ocio://cg-config-latest", "lin_rec709_scene"
_OWN = (
    *("Linear Rec.709 (sRGB)", "Linear Rec.709", "lin_rec709_scene", "lin_rec709"),
    *("Utility - Linear - sRGB", "Utility - Linear - Rec.709", "lin_srgb"),
)
"""what configurations call linear Rec.709; theirs is taken before that of OpenColorIO's own"""
_HDR, _OCIO_WHITE = "hdr-video", 100  # nits
_TOLERANCE = 0.01
"""display-encoded: by how much a painted colour may come back as another"""
_MOST_OFF = 0.1
"""share of the colours that a space need not hold, saturated ones; greys it has to"""
_SAME = 2e-4
"""of a value: two conversions that differ less are one"""
_MOST_LISTED = 5


@dataclass(frozen=True)
class Found:
    """A space, its conversion, and what is to be said of it."""

    space: InputSpace
    conversion: Conversion
    cautions: tuple[str, ...] = ()


def input_space(config: str, name: str, white: float | None = None) -> Found:
    """The space called `name` (or by an alias, or a role) of a configuration; NvdError.

    `config` is a file (.ocio, .ocioz) or one of OpenColorIO's own (`ocio://...`). Of a space of HDR
    displays `white`, in nits, becomes 1; by itself the configuration's, which is 100.
    """
    lib = ocio()
    opened = _opened(lib, config)
    space = _named(opened, config, name)
    if space.isData():
        raise NvdError(
            f"the colour space {space.getName()} of {config} is for data, not for colours",
            expected="a colour space",
            found="isdata: true",
            remedy="name the space of the clip, or leave out --input-space",
        )
    hdr = space.getEncoding() == _HDR
    shares = _OCIO_WHITE / white if hdr and white else 1.0
    conversion = _made(lib, opened, config, space.getName(), shares)
    cautions = _about_paint(conversion, config, space.getName())
    named = opened.getName() or Path(config).name
    made = InputSpace(space.getName()[:200], named[:1000], conversion.digest)
    return Found(made, conversion, cautions)


def says_nothing_new(conversion: Conversion, picture: Picture, floats: bool) -> bool:
    """Whether the conversion makes the colours that are made of such a picture by itself."""
    opaque = Picture(primaries=picture.primaries, movie=picture.movie)
    steps = np.array([-0.5, 0, 0.01, 0.18, 0.5, 1, 30] if floats else np.linspace(0, 1, 9))
    values = _colours_of(steps)[None]
    if floats:
        own = working_colours(values, opaque)
    elif picture.movie and (picture.movie[0] in (9, 11, 12) or picture.movie[1] in (16, 18)):
        return False  # BT.2020, P3, PQ, HLG: taken as they stand, which is not what they are
    else:
        own = decode_srgb(values)
    error = np.abs(conversion.to_linear(values) - own)
    return bool((error <= _SAME * np.maximum(1, np.abs(own))).all())


def space_of_file_rules(config: str, path: Path) -> str | None:
    """What a configuration's file rules say of a file; None where only the rule for all does."""
    lib = ocio()
    try:
        opened = lib.Config.CreateFromFile(config)
        if opened.getMajorVersion() < 2 or opened.filepathOnlyMatchesDefaultRule(str(path)):
            return None
        return str(opened.getColorSpaceFromFilepath(str(path))[0])
    except (lib.Exception, lib.ExceptionMissingFile, ValueError, TypeError):
        return None


def _opened(lib: Any, config: str) -> Any:
    if "://" not in config and not there(Path(config).is_file):
        raise NvdError(
            f"there is no OpenColorIO configuration {config}",
            expected="a file, .ocio or .ocioz, or ocio://default",
            remedy="correct --ocio, or the environment variable OCIO",
        )
    with _explained(lib, f"cannot read the OpenColorIO configuration {config}"):
        opened = lib.Config.CreateFromFile(config)
        opened.validate()
    return opened


def _named(opened: Any, config: str, name: str) -> Any:
    space = opened.getColorSpace(name)
    if space is not None:
        return space
    names = list(opened.getColorSpaceNames())
    lower = {one.lower(): one for one in names}
    near = [lower[n] for n in difflib.get_close_matches(name.lower(), lower, _MOST_LISTED, 0.5)]
    near += [n for n in names if name.lower() in n.lower() and n not in near]
    listed = ", ".join(near[:_MOST_LISTED] or names[:_MOST_LISTED])
    raise NvdError(
        f"{config} has no colour space {name}",
        expected=f"one of its {len(names)}, such as {listed}",
        found=name,
        remedy="name one of them with --input-space, or another configuration with --ocio",
    )


def _made(lib: Any, opened: Any, config: str, name: str, scale: float) -> Conversion:
    """`scale` is what the linear values are multiplied by."""
    ours = lib.Config.CreateFromFile(_OURS)
    between = lib.Config.GetProcessorFromConfigs
    problem = f"cannot convert {name} of {config} to linear Rec.709"
    with _explained(lib, problem, "where the configuration is, with its tables beside it"):
        own = next((n for n in _OWN if opened.getColorSpace(n) is not None), None)
        if own:
            there_, back = opened.getProcessor(name, own), opened.getProcessor(own, name)
        elif opened.hasRole("aces_interchange") or opened.hasRole("cie_xyz_d65_interchange"):
            there_, back = (
                between(opened, name, ours, _REC709),
                between(ours, _REC709, opened, name),
            )
        else:  # an older one: OpenColorIO looks for a space that it knows by its values
            there_ = lib.Config.GetProcessorToBuiltinColorSpace(opened, name, _REC709)
            back = lib.Config.GetProcessorFromBuiltinColorSpace(_REC709, opened, name)
        forward, inverse = (_steps(lib, processor) for processor in (there_, back))
        if scale != 1:
            forward.appendTransform(_scaling(lib, scale))
            inverse.prependTransform(_scaling(lib, 1 / scale))
        groups = forward, inverse
        texts = [group.write(FORMAT, opened) for group in groups]
        conversion = Conversion(*texts)
        for text in texts:
            check_self_contained(text.encode())
            if len(text) > MOST_BYTES:
                raise ValueError(f"its tables take more than {MOST_BYTES >> 20} MB")
        _check_kept(lib, conversion, *(opened.getProcessor(group) for group in groups))
    return conversion


def _steps(lib: Any, processor: Any) -> Any:
    """All that a processor does, its tables included."""
    return processor.getOptimizedProcessor(lib.OPTIMIZATION_LOSSLESS).createGroupTransform()


def _scaling(lib: Any, scale: float) -> Any:
    return lib.MatrixTransform(matrix=list(np.diag([scale, scale, scale, 1.0]).ravel()))


def _check_kept(lib: Any, conversion: Conversion, to_linear: Any, from_linear: Any) -> None:
    """ValueError where the files do something else than the configuration."""
    values = _colours_of(np.linspace(0, 1, 9))
    for kept, own in ((conversion.to_linear, to_linear), (conversion.from_linear, from_linear)):
        wanted = applied(own, lib)(values)
        if not np.allclose(kept(values), wanted, rtol=_SAME, atol=_SAME / 10, equal_nan=True):
            raise ValueError("it does not come back from a file as it was")


def _about_paint(conversion: Conversion, config: str, name: str) -> tuple[str, ...]:
    """What is to be said of painted colours that come back from the space as others.

    NvdError where greys do, or many.
    """
    painted = _colours_of(np.linspace(0, 1, 9))
    back = encode_srgb(conversion.to_linear(conversion.from_linear(decode_srgb(painted))))
    error = np.abs(back - painted).max(1)
    off, greys = ~(error <= _TOLERANCE), np.ptp(painted, axis=1) == 0
    worst = np.nanmax(error, initial=0)
    if off[greys].any() or off.mean() > _MOST_OFF:
        raise NvdError(
            f"the colour space {name} of {config} cannot be converted back",
            expected="that what is painted comes back, from black to white",
            found=f"{off.mean():.0%} of the colours do not, and are off by up to {worst:.2g}",
            remedy="name the space that the clip was made in, not that of a view or a look",
        )
    if not off.any():
        return ()
    return (f"{name} does not hold all saturated colours: paint may be off by {worst:.2g} there",)


def _colours_of(steps: np.ndarray) -> np.ndarray:
    """All colours of these values, float32 [n ** 3, 3]."""
    grid = np.meshgrid(steps, steps, steps, indexing="ij")
    return np.stack(grid, -1).reshape(-1, 3).astype(np.float32)


@contextmanager
def _explained(lib: Any, problem: str, missing: str = "") -> Iterator[None]:
    try:
        yield
    except lib.ExceptionMissingFile as error:
        raise NvdError(
            problem,
            expected="all files that it names",
            found=reason(error),
            remedy=f"put it back {missing}" if missing else "restore what is missing",
        ) from error
    except (lib.Exception, ValueError) as error:
        raise NvdError(
            problem,
            found=reason(error),
            remedy="name another one (--ocio, --input-space), or repair this one",
        ) from error
