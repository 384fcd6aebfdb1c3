"""The colour tags of a movie that is written: the source's, and BT.709 where it has none.

Numbers are those of ITU-T H.273, which FFmpeg uses too.
"""

from dataclasses import dataclass

import av

from nvd_core.media.picture import Code

RGB, UNSPECIFIED, BT709, BT2020 = 0, 2, 1, 9
LIMITED, FULL = 1, 2
_MATRICES = (1, 4, 5, 6, 7, 9)
"""what RGB can be made into by swscale"""


@dataclass(frozen=True)
class MovieTags:
    """What a movie says of its values."""

    primaries: Code = BT709
    transfer: Code = BT709
    matrix: Code = BT709
    range: Code = LIMITED

    @classmethod
    def of(cls, movie: tuple[int, ...] | None, full_range: bool = True) -> "MovieTags":
        """The tags of an output for a source of these; `full_range` where its codec can say so."""
        if movie is None:
            return cls()
        primaries, transfer, matrix, scale = movie
        if primaries == transfer == UNSPECIFIED:  # its colours are read by their size, and are SDR
            primaries, transfer = BT709, BT709
            matrix = BT709 if matrix == UNSPECIFIED else matrix
        if matrix not in _MATRICES:
            matrix = BT2020 if primaries == BT2020 else BT709
        return cls(primaries, transfer, matrix, FULL if full_range and scale == FULL else LIMITED)

    def put(self, target: av.VideoFrame | av.VideoCodecContext) -> None:
        """Say so in a frame or an encoder."""
        target.color_primaries, target.color_trc = self.primaries, self.transfer
        target.colorspace, target.color_range = self.matrix, self.range
