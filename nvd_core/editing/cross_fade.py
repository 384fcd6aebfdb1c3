"""Sections of a long clip rendered as one: over the frames that two share, one fades to the next.

Each section is a decomposition of its own, with its own textures and edits (farm/sections.py).
Paint that was carried over lies where it lay but for fractions of a pixel, which the fade hides.
"""

import hashlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np

from nvd_core.editing.rendering import Rendering
from nvd_core.editing.shared_frames import shared_frames
from nvd_core.media.codecs import Quality
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.finish import read_finish
from nvd_core.shot.pins import is_applied
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import read_values


class CrossFade:
    """Renders frames of a shot; those that the one before has too fade from that one's to its own.

    In the shared frames, 1 to n of them, the shot's own picture counts t / (n + 1).
    """

    def __init__(self, own: Rendering, before: Rendering, shared: list[tuple[int, int]]) -> None:
        self._own, self._before = own, before
        self._place = {t: was for was, t in shared}
        self._share = {t: n / (len(shared) + 1) for n, (_, t) in enumerate(shared, start=1)}

    def key(self, t: int, out: Path) -> str | None:
        """Equal keys mean equal images; None where nothing is known."""
        own = self._own.key(t, out)
        if t not in self._place or own is None:
            return own
        before = self._before.key(self._place[t], out)
        if before is None:
            return None
        text = f"{own} {before} {self._share[t]}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def is_copy(self, t: int, out: Path) -> bool:
        """Whether the image of frame `t` is the clip's own file: nothing painted shows in it."""
        shown = t in self._place and not self._before.is_copy(self._place[t], out)
        return not shown and self._own.is_copy(t, out)

    def copy(self, t: int, path: Path) -> None:
        """Write frame `t` as it is."""
        self._own.copy(t, path)

    def whole(self, t: int, frame: np.ndarray, out: Path) -> tuple:
        """What to write of a rendered frame: with its overscan and where it lies, in EXR."""
        return self._own.whole(t, frame, out)

    def frames(self, numbers: Iterable[int]) -> Generator[np.ndarray, None, None]:
        """The frames `numbers` as the clip stores them, in any order."""
        numbers = list(numbers)
        before = [self._place[t] for t in numbers if t in self._place]
        with (
            closing(self._own.frames(numbers)) as own,
            closing(self._before.frames(before)) as others,
        ):
            for t, frame in zip(numbers, own, strict=True):
                yield faded(next(others), frame, self._share[t]) if t in self._place else frame

    def tell(self, progress: Progress) -> None:
        """Say what of the renderings does not reach everything."""
        self._own.tell(progress)
        self._before.tell(progress)


def faded(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """Of two pictures of one kind the mean, in which the second counts `share` of 1."""
    mixed = before.astype(np.float32)
    mixed += (after.astype(np.float32) - mixed) * np.float32(share)
    return (np.rint(mixed) if after.dtype.kind == "u" else mixed).astype(after.dtype)


def shared_with(shot: Shot, before: Shot) -> list[tuple[int, int]]:
    """The frames of both, indices in `before` and in `shot`; NvdError where it does not lead up
    to the shot, or shows other pixels."""
    shared = shared_frames(before, shot)
    was, own = before.manifest.clip, shot.manifest.clip
    alike = ("width", "height", "bit_depth", "encoding", "picture", "rate")
    odd = [name for name in alike if getattr(was, name) != getattr(own, name)]
    if odd:
        raise NvdError(
            f"{before.folder} and {shot.folder} are not sections of one clip",
            expected="the same " + ", ".join(odd),
            found=f"{getattr(was, odd[0])} and {getattr(own, odd[0])}",
            remedy="decompose both from one source, with the same options",
        )
    if was.first_frame >= own.first_frame or shared[-1][0] != was.frames - 1:
        raise NvdError(
            f"{before.folder} does not lead up to {shot.folder}",
            expected="a section that begins before it and ends within it",
            found=f"frames from {was.first_frame} on, {was.frames} of them, and from "
            f"{own.first_frame} on, {own.frames} of them",
            remedy="name the section before it",
        )
    return shared


def about_sections(before: Shot, shot: Shot) -> list[str]:
    """What has to be said of two that are taken for sections of one clip."""
    said = []
    one, other = before.manifest.clip.source, shot.manifest.clip.source
    if one != other:
        said.append(f"{before.folder} was made of {one}, and {shot.folder} of {other}")
    if not is_applied(before):
        said.append(f"the maps lack the newest pins: run nvd pins apply {before.folder}")
    return said


def faded_from(
    before: Shot,
    shared: list[tuple[int, int]],
    own: Rendering,
    mode: str,
    bit_depth: int | str | None,
    device: str,
    quality: Quality,
) -> CrossFade:
    """What `own` renders of a shot, faded from the one `before`, as that stands in its folder."""
    ending = range(shared[0][0], shared[-1][0] + 1)
    before.check((ending[0], ending[-1]))
    stands = read_values(before), read_finish(before)
    other = Rendering(before, None, mode, ending, bit_depth, device, quality, *stands)
    return CrossFade(own, other, shared)


def check_after(after: Shot, said: Mapping[str, object]) -> None:
    """NvdError where something is `said`, by its option, that is of one section alone."""
    odd = [option for option, value in said.items() if value]
    if not odd:
        return
    raise NvdError(
        f"{' and '.join(odd)} cannot be rendered with --after",
        expected="sections as they stand in their folders, which fade into each other",
        found=f"--after {after.folder}, and {odd[0]}",
        remedy="leave one of the two out, or set it in the folders of both sections",
    )
