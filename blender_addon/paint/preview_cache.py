"""Maps of the frames around the playhead, read ahead in a thread and kept within a memory limit.

numpy and threads only: nothing of Blender is touched here.
"""

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ..shot.exr import read_channels
from ..shot.folder import Shot

_CHANNELS = ("Map.X", "Map.Y", "Map.Z", "Residual.R", "Residual.G", "Residual.B")
_FINE = ("Fine.X", "Fine.Y")  # added to Map where the texture is large


class MapCache:
    """The maps of a shot by (frame, layer). `limit` is in bytes."""

    def __init__(self, shot: Shot, limit: int = 1 << 30):
        self.shot, self.limit = shot, limit
        self._kept: OrderedDict[tuple[int, str], np.ndarray] = OrderedDict()
        self._pending: dict[tuple[int, str], Future] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="nvd-maps")

    @property
    def used(self) -> int:
        """Bytes kept."""
        with self._lock:
            return sum(maps.nbytes for maps in self._kept.values())

    def get(self, frame: int, layer: str) -> np.ndarray:
        """float32 [H, W, 6] (u, v, alpha, residual), top row first; waits where it is not there.

        ExrError where the file cannot be read.
        """
        key = frame, layer
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            future = self._pending.get(key)
        if future is not None and not future.cancel():
            return future.result()
        return self._read(key)

    def prefetch(self, frame: int, layers: list[str], ahead: int = 4) -> None:
        """Read the frames after `frame` in the background; what was asked for before is dropped."""
        size = self.shot.width * self.shot.height * 24 * max(len(layers), 1)
        ahead = min(ahead, max(self.limit // size - 1, 0))
        with self._lock:
            for key, future in list(self._pending.items()):
                if future.cancel():
                    del self._pending[key]
            for index in range(frame + 1, min(frame + ahead + 1, self.shot.frames)):
                for layer in layers:
                    key = index, layer
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

    def _read(self, key: tuple[int, str]) -> np.ndarray:
        frame, layer = key
        names = [f"{layer}.{channel}" for channel in _CHANNELS]
        fine = tuple(f"{layer}.{channel}" for channel in _FINE)
        path = self.shot.map(frame)
        try:
            size = self.shot.width, self.shot.height
            planes = read_channels(path, [*names, *fine], optional=fine, size=size)
            planes[:2] += planes[6:]
            maps = np.ascontiguousarray(planes[:6].transpose(1, 2, 0))
        finally:
            with self._lock:
                self._pending.pop(key, None)
        with self._lock:
            self._kept[key] = maps
            while sum(kept.nbytes for kept in self._kept.values()) > self.limit:
                if len(self._kept) == 1:
                    break
                self._kept.popitem(last=False)
        return maps
