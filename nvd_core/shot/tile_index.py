"""Which tiles of the layers' textures each frame looks up, kept beside the maps in tiles.npz.

An edit that changes no such tile does not show in the frame, so its maps need not be read. Tiles
divide u and v evenly, whatever size an edit has; they are about TILE texels wide in the texture.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from deflate import crc32
from numba import njit

from nvd_core.runtime.array_files import read_npz
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.inside import inside
from nvd_core.runtime.reading import reading

TILE = 64
NAME = "tiles.npz"
MOST_BYTES = 1 << 26
"""of the whole index, a bit a tile and frame"""


@dataclass
class TileIndex:
    """What the frames look up. A frame that was not written has a checksum of 0."""

    tiles: dict[str, np.ndarray]  # by layer: bool [T, rows, columns], row 0 is where v is 1
    checksums: np.ndarray  # uint32 [T], of the maps' files

    def save(self, folder: Path) -> None:
        """Write it into the folder of the maps; NvdError where the disk refuses."""
        with written_beside(folder / NAME) as temporary:
            self.write(temporary)

    def write(self, path: Path) -> None:
        """Write it to a file that ends in .npz, in place."""
        arrays = {f"tiles.{name}": np.packbits(t, axis=2) for name, t in self.tiles.items()}
        widths = {f"columns.{name}": t.shape[2] for name, t in self.tiles.items()}
        np.savez(path, checksums=self.checksums, **arrays, **widths)

    @classmethod
    def load(cls, folder: Path, names: list[str], frames: int) -> "TileIndex | None":
        """The index of `frames` frames; None where there is none that can be used."""
        path = folder / NAME
        try:
            with reading(path, "the index", "remove it: it is made of the maps"):
                stored = read_npz(inside(folder, NAME), MOST_BYTES)
                checksums = stored["checksums"]
                if checksums.dtype != np.uint32 or checksums.shape != (frames,):
                    raise ValueError(f"checksums {checksums.dtype} {checksums.shape}")
                tiles = {name: _unpacked(stored, name, frames) for name in names}
        except NvdError:  # it may be missing: then every map is read
            return None
        return cls(tiles, checksums)


def _unpacked(stored: dict[str, np.ndarray], name: str, frames: int) -> np.ndarray:
    """The tiles of a layer, bool [T, rows, columns]; ValueError where they are something else."""
    packed, width = stored[f"tiles.{name}"], stored[f"columns.{name}"].reshape(())
    columns = int(width) if width.dtype.kind in "iu" else 0
    wanted = (frames, *packed.shape[1:2], -(-columns // 8))
    if packed.dtype != np.uint8 or packed.shape != wanted or min(wanted) < 1 or columns < 1:
        raise ValueError(f"tiles {packed.dtype} {packed.shape} of {columns} columns")
    return np.unpackbits(packed, axis=2, count=columns).view(bool)


def grid_of(texture: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the tiles of a texture of this width and height."""
    width, height = texture
    return max(math.ceil(height / TILE), 1), max(math.ceil(width / TILE), 1)


def looked_up(
    u: np.ndarray,  # [P], as stored
    v: np.ndarray,  # [P]
    grid: tuple[int, int],
) -> np.ndarray:  # bool [rows, columns]
    """The tiles that places lie in."""
    rows, columns = grid
    x = (np.float64(u) * columns).astype(np.int64).clip(0, columns - 1)
    y = ((1 - np.float64(v)) * rows).astype(np.int64).clip(0, rows - 1)
    tiles = np.zeros(grid, bool)
    tiles[y, x] = True
    return tiles


def looked_up_where_shown(
    u: np.ndarray,  # float32 [H, W]
    v: np.ndarray,  # float32 [H, W]
    alpha: np.ndarray,  # float32 [H, W]
    bits: tuple[int, int],
    grid: tuple[int, int],
) -> np.ndarray:  # bool [rows, columns]
    """`looked_up` of a layer where alpha is above 0, u and v rounded to so many binary digits."""
    tiles = np.zeros(grid, bool)
    _mark(u, v, alpha, np.float32(2 ** bits[0]), np.float32(2 ** bits[1]), tiles)
    return tiles


@njit(cache=True, nogil=True)
def _mark(u, v, alpha, scale_u, scale_v, tiles):
    rows, columns = tiles.shape
    unit_u, unit_v = np.float32(1) / scale_u, np.float32(1) / scale_v  # powers of 2: exact
    for y in range(u.shape[0]):
        for x in range(u.shape[1]):
            if alpha[y, x] > 0:
                across = np.float64(np.rint(u[y, x] * scale_u) * unit_u) * columns
                down = (1 - np.float64(np.rint(v[y, x] * scale_v) * unit_v)) * rows
                column = min(max(int(across), 0), columns - 1)
                tiles[min(max(int(down), 0), rows - 1), column] = True


def texels_of(tiles: int, texels: int) -> tuple[np.ndarray, np.ndarray]:
    """First texel, and the one after the last, that places in each tile along an axis can reach.

    A lookup reaches the texels less than one away from its place; another one is for rounding.
    """
    borders = np.arange(tiles + 1) / tiles * texels - 0.5
    first = np.floor(borders[:-1]).astype(int) - 1
    after = np.floor(borders[1:]).astype(int) + 3
    return first.clip(0, texels), after.clip(0, texels)


def changed_tiles(changed: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """The tiles whose places can reach a texel of bool [h, w], of any size; bool [rows, columns].

    Found through sums over the rectangles from the first texel on.
    """
    sums = np.zeros((changed.shape[0] + 1, changed.shape[1] + 1), np.int64)
    sums[1:, 1:] = changed.cumsum(0, dtype=np.int64).cumsum(1)
    (y0, y1), (x0, x1) = texels_of(grid[0], changed.shape[0]), texels_of(grid[1], changed.shape[1])
    count = sums[np.ix_(y1, x1)] - sums[np.ix_(y0, x1)] - sums[np.ix_(y1, x0)]
    return count + sums[np.ix_(y0, x0)] > 0


def checksum(path: Path) -> int:
    """CRC-32 of a file's contents."""
    return crc32(Path(path).read_bytes())
