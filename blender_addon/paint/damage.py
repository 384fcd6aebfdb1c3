"""Which part of a picture a stroke on a texture reaches; damage, as those who draw windows call it.

    tiles = changed_tiles(before, after, width)      # of the texture
    blocks = reached_blocks(tiles, bounds, size)     # of the picture
    rectangles(blocks, BLOCK, picture_size)

Of a block of the picture is known between which places of the texture its pixels look, so what is
found may be too much, and never too little. numpy only.
"""

import numpy as np

TILE = 32
"""texels along a tile"""
BLOCK = 32
"""pixels along a block"""
MARGIN = 1
"""texels that rounding may be off by, beside those that are filtered"""


def all_tiles(size: tuple[int, int]) -> np.ndarray:
    """Of a texture of this width and height: True [rows, columns]."""
    return np.ones((-(-size[1] // TILE), -(-size[0] // TILE)), bool)


def changed_tiles(before: np.ndarray, after: np.ndarray, width: int) -> np.ndarray:
    """Where texels are not the same bit for bit: bool [rows, columns] of tiles.

    Rows of texels [h, w * channels], float32.
    """
    before, after = (rows.view(np.uint32) for rows in (before, after))
    height, words = after.shape
    columns = np.arange(0, width, TILE) * (words // width)
    found = ~all_tiles((width, height))
    for row, band in enumerate(range(0, height, TILE)):  # which a core's cache holds
        differs = before[band : band + TILE] != after[band : band + TILE]
        if differs.any():
            found[row] = np.logical_or.reduceat(differs.any(axis=0), columns)
    return found


def scaled_tiles(tiles: np.ndarray, size: tuple[int, int], wanted: tuple[int, int]) -> np.ndarray:
    """Tiles of a texture of the size `wanted` that another one, of this `size`, is stretched over;
    with texels around them, as its own are filtered.
    """
    found = ~all_tiles(wanted)
    scale = np.float64(wanted) / size
    for left, bottom, right, top in rectangles(tiles, TILE, size):
        low = np.floor((np.float64([left, bottom]) - 1) * scale) - 1 - MARGIN
        high = np.ceil((np.float64([right, top]) + 1) * scale) + 1 + MARGIN
        (x, y), (right, top) = np.maximum(low, 0).astype(int) // TILE, -(-high.astype(int) // TILE)
        found[y:top, x:right] = True
    return found


def reached_blocks(tiles: np.ndarray, bounds: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which blocks look at one of these tiles: bool [rows, columns].

    bounds: [rows, columns, 4], least and largest u and v of a block's pixels, the least above the
    largest where none of them shows the layer. size: width and height of the texture, which goes on
    at its edges as it is there.
    """
    sides = np.float64(size)
    first = np.floor(bounds[..., :2] * sides - 0.5) - MARGIN
    last = np.floor(bounds[..., 2:] * sides - 0.5) + 1 + MARGIN
    first, last = (np.clip(place, 0, sides - 1).astype(np.int64) // TILE for place in (first, last))
    sums = np.zeros(np.add(tiles.shape, 1), np.int64)
    sums[1:, 1:] = tiles.cumsum(0).cumsum(1)
    (left, low), (right, high) = np.moveaxis(first, -1, 0), np.moveaxis(last + 1, -1, 0)
    count = sums[high, right] - sums[low, right] - sums[high, left] + sums[low, left]
    return (count > 0) & (bounds[..., 0] <= bounds[..., 2])


def rectangles(
    marked: np.ndarray, side: int, size: tuple[int, int]
) -> list[tuple[int, int, int, int]]:
    """The marked ones of squares [rows, columns] with this side, in few rectangles that lie apart.

    Left, bottom, right and top, within `size`, width and height; the first row is the lowest.
    """
    open_ones: dict[tuple[int, int], int] = {}  # by left and right: the row that they begin at
    found = []
    for row in range(len(marked) + 1):
        runs = _runs(marked[row]) if row < len(marked) else set()
        for run in [run for run in open_ones if run not in runs]:
            found.append((run[0], open_ones.pop(run), run[1], row))
        for run in runs:
            open_ones.setdefault(run, row)
    width, height = size
    return [
        (left * side, bottom * side, min(right * side, width), min(top * side, height))
        for left, bottom, right, top in sorted(found)
    ]


def _runs(row: np.ndarray) -> set[tuple[int, int]]:
    """First and last of those that are marked one beside the other, the last excluded."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
    return set(zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True))
