"""Which frames an edit reaches, and whether a frame would be rendered as it was before.

Both follow from the index of the texture tiles that each frame looks up (tile_index.py). Folders
without one, and frames whose maps are no longer those that were indexed, count as reached.
"""

import dataclasses
import hashlib
import json
import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from nvd_core.editing.frame_kernels import Textures
from nvd_core.editing.stack_sheets import State
from nvd_core.media.sequences import frame_path
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.files import write_json
from nvd_core.shot.finish import PLAIN_EDGES, PLAIN_FINISH, Finish, holdout_path
from nvd_core.shot.map_files import map_files
from nvd_core.shot.shot import Shot
from nvd_core.shot.tile_index import TileIndex, changed_tiles, checksum, texels_of
from nvd_core.shot.values import PLAIN, Values

_DIGEST = 16  # bytes
_PATIENCE = 10.0  # seconds for others to note what they rendered


class ChangedFrames:
    """What the frames show of `textures`: deltas, or whole textures.

    Where a texture is 0 it does not show, nor where the layer's visibility in `values` is. With
    edges that widen and with motion blur, a frame may show any part of what it shows something of.
    """

    def __init__(
        self,
        shot: Shot,
        textures: Textures,
        values: Values = PLAIN,
        finish: Finish = PLAIN_FINISH,
    ) -> None:
        self._shot, self._textures = shot, textures
        self._values, self._finish = values, finish
        self._known: dict[tuple[str, State], _Tiles] = {}
        self._maps = map_files(shot)
        self._same: dict[int, bool] = {}

    @cached_property
    def _index(self) -> TileIndex | None:
        shot = self._shot
        return TileIndex.load(shot.map_path(0).parent, shot.names, shot.frames)

    def _tiles(self, name: str, t: int) -> "_Tiles":
        """What the layer's texture of frame `t` holds, tile by tile."""
        key = name, self._textures.state(name, t)
        if key not in self._known:
            texture = self._textures.at(name, t)
            self._known[key] = _Tiles(texture, self._index.tiles[name].shape[1:])
        return self._known[key]

    def _is_indexed(self, t: int) -> bool:
        """Whether the maps of frame `t` are those that were indexed."""
        if self._index is None:
            return False
        if t not in self._same:
            self._same[t] = self._maps.checksum(t) == self._index.checksums[t]
        return self._same[t]

    def shows(self, t: int) -> bool:
        """Whether frame `t` may show something of the textures."""
        names = [name for name in self._textures.names if self._textures.lies(name, t)]
        visible = [name for name in names if self._values.at(name, t)[0] > 0]
        if not self._is_indexed(t):
            return bool(visible)
        return any(self._seen(name, t).any() for name in visible)

    def _seen(self, name: str, t: int) -> np.ndarray:
        """The tiles of the layer's texture that count in frame `t`, bool [rows, columns]."""
        used = self._tiles(name, t).used
        return used if self._finish.widens(name) else self._index.tiles[name][t] & used

    def key(self, t: int, settings: dict) -> str | None:
        """Equal keys and `settings` mean equal frames; None where none is known."""
        if not self._is_indexed(t) or self._spills:
            return None
        total = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=_DIGEST)
        files = checksum(self._shot.frame_path(t)), int(self._index.checksums[t])
        total.update(json.dumps(files).encode())
        for name in self._textures.names:
            amounts = self._values.at(name, t)
            if amounts[0] == 0 or not self._textures.lies(name, t):
                continue
            tiles, seen = self._tiles(name, t), self._seen(name, t)
            if seen.any():
                total.update(self._finished(name, t))
                if amounts != (1, 1):
                    total.update(json.dumps(amounts).encode())
                place = name, tiles.shape, self._shot.names
                total.update(json.dumps(place).encode())
                total.update(np.packbits(seen).tobytes())
                total.update(tiles.digests[seen].tobytes())
        return total.hexdigest()

    @property
    def _spills(self) -> bool:
        """Whether what is shown depends on more than is known here."""
        return any(self._finish.of(name).spill for name in self._textures.names)

    def _finished(self, name: str, t: int) -> bytes:
        """What frame `t` owes to the edges of the layer, and to motion blur; empty for neither."""
        edges, blur, said = self._finish.of(name), self._finish.motion_blur, []
        if edges != PLAIN_EDGES:
            said.append(dataclasses.asdict(edges))
        if edges.holdout:
            said.append(checksum(holdout_path(self._shot, edges.holdout, t)))
        if blur.shutter > 0:
            near = [n for n in (t - 1, t + 1) if 0 <= n < self._shot.frames]
            maps = [int(self._maps.checksum(n)) for n in near]
            said.append([dataclasses.asdict(blur), near, maps])
        return json.dumps(said).encode() if said else b""


class _Tiles:
    """What the tiles of a texture hold that their places can reach."""

    def __init__(self, texture: np.ndarray, grid: tuple[int, int]) -> None:
        self.shape = texture.shape
        self.used = changed_tiles((texture != 0).any(2), grid)
        """bool [rows, columns]: where it is not 0"""
        self.digests = np.zeros((*self.used.shape, _DIGEST), np.uint8)
        (y0, y1), (x0, x1) = (texels_of(self.used.shape[i], texture.shape[i]) for i in (0, 1))
        for row, column in np.argwhere(self.used):
            part = texture[y0[row] : y1[row], x0[column] : x1[column]]
            digest = hashlib.blake2b(np.ascontiguousarray(part), digest_size=_DIGEST).digest()
            self.digests[row, column] = np.frombuffer(digest, np.uint8)


def rendered_path(pattern: Path | str) -> Path:
    """The file that knows what was rendered into a pattern of numbered images."""
    return Path(pattern).with_name(f".{Path(pattern).name}.rendered.json")


class RenderedBefore:
    """What was rendered into a pattern of numbered images: a hidden file beside them knows.

    An image counts only while it has the size and the time at which it was written.
    """

    def __init__(self, pattern: Path | str) -> None:
        self._pattern = Path(pattern)
        self._path = rendered_path(pattern)
        self._frames = self._stored()
        self._written: set[str] = set()

    def has(self, t: int, key: str | None) -> bool:
        """Whether the image of frame `t` is there as it was rendered with this key."""
        return key is not None and self._frames.get(str(t)) == [key, *self._state(t)]

    def add(self, t: int, key: str | None) -> None:
        """The image of frame `t` has been written."""
        self._frames.pop(str(t), None)
        self._written.add(str(t))
        if key is not None:
            self._frames[str(t)] = [key, *self._state(t)]

    def save(self) -> None:
        """Write what is known; NvdError where the disk refuses.

        Others may have rendered other frames into the same pattern meanwhile: what they noted
        stays. The lock is among the machine's temporary files, so that it is not left beside the
        images, and one of sixteen, so that they do not pile up; two machines that save at the same
        instant may forget some frames of one of them.
        """
        digest = hashlib.sha256(str(self._path.absolute()).encode()).hexdigest()[:1]
        place = Path(tempfile.gettempdir()) / f"nvd-rendered-{digest}.lock"
        lock = FileLock(place, mode=0o666, poll_interval=0.05)
        with suppress(Timeout, OSError, NotImplementedError):  # then it goes on without
            lock.acquire(timeout=_PATIENCE)
        try:
            known = self._stored()
            for number in self._written:
                known.pop(number, None)
                if number in self._frames:
                    known[number] = self._frames[number]
            write_json(self._path, known)
        finally:
            lock.release()

    def _stored(self) -> dict[str, list]:
        try:
            stored = read_json(self._path)
        except Unreadable:
            stored = None
        return stored if isinstance(stored, dict) else {}

    def _state(self, t: int) -> list[int]:
        try:
            state = frame_path(self._pattern, t).stat()
        except OSError:
            return []
        return [state.st_size, state.st_mtime_ns]
