"""Maps of the frames around the playhead, read ahead in a thread and kept within a memory limit.

Compact ones are kept as their nodes, a tenth of the size, for whoever evaluates them (`full`
False), or at every pixel. numpy and threads only: nothing of Blender is touched here.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ..shot.folder import Shot
from ..shot.layer_maps import Maps, read_maps
from ..shot.node_maps import LayerNodes, full_maps
from ..shot.plate_file import packed_plate

_AHEAD = "\0ahead "
PLATE = ""
"""in place of a layer's name: the frame as shot, as `packed_plate` has it"""


def ahead_of(number: int) -> str:
    """The same for the frame as it was rendered ahead, of the state with this number."""
    return f"{_AHEAD}{number}"


class MapCache:
    """The maps of a shot by (frame, layer). `limit` is in bytes.

    full: whether compact maps are evaluated here too; may be set at any time.
    """

    def __init__(self, shot: Shot, limit: int = 1 << 30, full: bool = True):
        self.shot, self.limit, self.full = shot, limit, full
        self.ahead = ""
        """the pattern of the frames that were rendered ahead, which `ahead_of` names"""
        self._kept: OrderedDict[tuple[int, str], Maps] = OrderedDict()
        self._pending: dict[tuple[int, str], Future] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="nvd-maps")

    @property
    def used(self) -> int:
        """Bytes kept."""
        with self._lock:
            return sum(maps.nbytes for maps in self._kept.values())

    def get(self, frame: int, layer: str) -> Maps:
        """float32 [H, W, 6] (u, v, alpha, residual), top row first, or nodes where they are not to
        be `full`; waits where it is not there.

        MapsError where the file cannot be read.
        """
        key = frame, layer
        with self._lock:
            maps, future = self._kept.get(key), self._pending.get(key)
            if maps is not None:
                self._kept.move_to_end(key)
        if maps is None:
            waited = future is not None and not future.cancel()
            maps = future.result() if waited else self._read(key)
        if self.full and isinstance(maps, LayerNodes):
            maps = self._keep(key, full_maps(maps))
        return maps

    def prefetch(
        self,
        frame: int,
        layers: list[str] | Callable[[int], list[str]],
        ahead: int = 4,
        stride: int = 1,
        beside: int = 0,
    ) -> None:
        """Read `frame` and `ahead` more, every `stride`th, in the background, and of each the maps
        of so many frames `beside` it; what was asked for before is dropped. `layers`: the same of
        every frame, or those of each.
        """
        layers_of = layers if callable(layers) else lambda _: layers
        size = self.shot.width * self.shot.height * 24 * max(len(layers_of(frame)), 1)
        size *= 1 + (2 * beside if stride > 1 else 0)
        ahead = min(ahead, max(self.limit // size - 1 - 2 * beside, 0))
        with self._lock:
            for key, future in list(self._pending.items()):
                if future.cancel():
                    del self._pending[key]
            wanted = range(frame + stride, self.shot.frames, stride)
            for index in [frame, *wanted[:ahead]]:
                near = [n for n in range(index - beside, index + beside + 1) if n != index]
                for other in (index, *near):
                    for layer in layers_of(other) if 0 <= other < self.shot.frames else ():
                        if layer != PLATE or other == index:
                            self._ask(other, layer)

    def _ask(self, frame: int, layer: str) -> None:
        """Have it read in the background; under the lock."""
        key = frame, layer
        if key not in self._kept and key not in self._pending:
            self._pending[key] = self._pool.submit(self._read, key)

    def wait(self) -> None:
        """Until all that was asked for is read; errors come out of `get`."""
        with self._lock:
            pending = list(self._pending.values())
        for future in pending:
            if not future.cancelled():
                future.exception()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._kept.clear()

    def _read(self, key: tuple[int, str]) -> Maps:
        try:
            maps = self._maps_of(*key)
        finally:
            with self._lock:
                self._pending.pop(key, None)
        return self._keep(key, maps)

    def _maps_of(self, frame: int, layer: str) -> Maps:
        if layer == PLATE:
            return packed_plate(self.shot.frame(frame), (self.shot.width, self.shot.height))
        if layer.startswith(_AHEAD):
            return packed_plate(Path(self.ahead % frame), (self.shot.width, self.shot.height))
        maps = read_maps(self.shot, frame, layer)
        return full_maps(maps) if self.full and isinstance(maps, LayerNodes) else maps

    def _keep(self, key: tuple[int, str], maps: Maps) -> Maps:
        with self._lock:
            self._kept[key] = maps
            while sum(kept.nbytes for kept in self._kept.values()) > self.limit:
                if len(self._kept) == 1:
                    break
                self._kept.popitem(last=False)
        return maps
