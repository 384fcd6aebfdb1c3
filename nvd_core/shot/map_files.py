"""The one door to a folder's maps: compact ones where they are there, else EXR.

Both forms of a frame hold the same values, bit for bit, where the folder was made so: the EXR is
written of what the compact form says.
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvd_core.media.sequences import frame_path
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.inside import inside
from nvd_core.runtime.reading import reading, there
from nvd_core.shot import tile_index
from nvd_core.shot.map_chunks import FRAMES, REMEDY, Header, block_checksum, chunk_name, read_block
from nvd_core.shot.maps import FrameMaps, frames_ahead, read_maps
from nvd_core.shot.node_bytes import from_bytes
from nvd_core.shot.node_decode import PackedNodes, decode, pack
from nvd_core.shot.node_maps import NodeFrame
from nvd_core.shot.shot import Shot

PATTERN = "maps/%05d.exr"
ORIGINALS = "unpinned"
"""the folder beside the maps with the EXR of pinned frames as they were"""


@dataclass(frozen=True)
class MapFiles:
    """The maps of a folder, finished or not."""

    folder: Path
    names: list[str]
    size: tuple[int, int]
    """height and width"""
    pattern: str = PATTERN

    def exr(self, t: int) -> Path:
        """The EXR of frame `t`, there or not."""
        return inside(self.folder, frame_path(self.pattern, t))

    def chunk(self, t: int) -> Path:
        """The file of compact maps in which frame `t` lies, there or not."""
        return inside(self.folder, str(Path(self.pattern).parent / chunk_name(t)))

    def original(self, t: int) -> Path:
        """Where the EXR of frame `t` is kept as it was before pins (shot/pins.py), if any."""
        pattern = Path(self.pattern)
        return inside(self.folder, frame_path(pattern.parent / ORIGINALS / pattern.name, t))

    def is_pinned(self, t: int) -> bool:
        """Whether the EXR of frame `t` was written again as pins say."""
        return there(self.original(t).exists)

    def has_compact(self, t: int) -> bool:
        """Whether there is a file that holds frame `t` in compact form; pinned frames have none."""
        return there(self.chunk(t).is_file) and not self.is_pinned(t)

    def has(self, t: int) -> bool:
        """Whether there is a file that should hold frame `t`."""
        return self.has_compact(t) or there(self.exr(t).is_file)

    def checksum(self, t: int) -> int:
        """Of the bytes that hold frame `t`: those of the compact form where that is there.

        Of that it is what the file says; whether it is so, `block` finds out.
        """
        if self.has_compact(t):
            return block_checksum(self.chunk(t), t)
        return tile_index.checksum(self.exr(t))

    def block(self, t: int) -> tuple[Header, bytes]:
        """The bytes of frame `t` in compact form; NvdError where they are damaged."""
        path = self.chunk(t)
        header, data = read_block(path, t)
        height, width = self.size
        with reading(path, "the maps", REMEDY):
            if (header.height, header.width) != self.size:
                found = f"{header.width} x {header.height}"
                raise ValueError(f"a size of {found}, while the clip has {width} x {height}")
            if header.first != t // FRAMES * FRAMES:
                raise ValueError(f"frames from {header.first} on, under the name of others")
            known = [layer.name for layer in header.layers]
            if missing := [name for name in self.names if name not in known]:
                raise ValueError(f"no layer {missing[0]}")
        return header, data

    def nodes(self, t: int) -> tuple[NodeFrame, list[str]] | None:
        """Frame `t` in compact form, and its layers' names; None where there is only an EXR."""
        if not self.has_compact(t):
            return None
        header, data = self.block(t)
        with reading(self.chunk(t), "the maps", REMEDY):
            frame = from_bytes(data, *self.size, len(header.layers), header.added)
        return frame, [layer.name for layer in header.layers]

    def packed(self, t: int, names: list[str]) -> tuple[PackedNodes, list[int]] | None:
        """Compact maps for compiled kernels, and where in them the layers `names` stand."""
        found = self.nodes(t)
        if found is None:
            return None
        frame, known = found
        return pack(frame), [known.index(name) for name in names]

    def read(self, t: int, names: list[str] | None = None) -> FrameMaps:
        """The full maps of frame `t`, of the layers `names`, all if None; NvdError as read_maps."""
        names = self.names if names is None else names
        found = self.packed(t, names)
        if found is None:
            return read_maps(self.exr(t), names, self.size)
        packed, wanted = found
        return FrameMaps(*decode(packed, wanted), packed.added_light)

    def iterate(
        self, frames: Iterable[int], names: list[str] | None = None
    ) -> Generator[FrameMaps, None, None]:
        """The maps of `frames` in order, read ahead in background threads."""
        names = self.names if names is None else names
        return in_order(lambda t: self.read(t, names), frames, frames_ahead(len(names), *self.size))


def map_files(shot: Shot) -> MapFiles:
    """The maps of a finished folder."""
    clip = shot.manifest.clip
    size = clip.height, clip.width
    return MapFiles(shot.folder, shot.names, size, shot.manifest.maps)


def read_frame_maps(shot: Shot, t: int, names: list[str] | None = None) -> FrameMaps:
    """The maps of frame `t`, the layers `names` in this order, all if None.

    NvdError where they are missing or damaged, or not of the clip's size.
    """
    return map_files(shot).read(t, names)


def iter_maps(
    shot: Shot,
    frames: Iterable[int],
    names: list[str] | None = None,
    read: Callable[[int], Any] | None = None,
) -> Generator[Any, None, None]:
    """The maps of `frames` in order, read ahead in background threads.

    `names` are the layers wanted, None for all; the fewer, the sooner they are read. `read` makes
    of a frame's number what is yielded; by itself full maps, FrameMaps.
    """
    files = map_files(shot)
    names = shot.names if names is None else names
    read = read or (lambda t: files.read(t, names))
    return in_order(read, frames, frames_ahead(len(names), *files.size))
