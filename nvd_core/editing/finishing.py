"""What is painted as it meets the plate: with edges, holdouts and motion blur of edits/finish.json.

Only the difference that an edit makes is finished. With m the layer's matte with its edges
(edges.py), w and l = 1 + g (residual - 1) its visibility and light, d the edit's difference from
the learned texture c, and base the frame, or in full mode the layers as they were learned,

    still = base + sum over the layers of  w m l d(u)

on display-encoded values, as without any finish. While the shutter is open light is averaged, so
what moves is, with u_k the places at the samples' times (motion_blur.py), dec the display's curve
and D = dec(c + d) - dec(c) texel by texel,

    moves = enc(dec(base) + sum over the layers of  w m dec(l) mean over k of D(u_k))

and the picture goes from the one to the other, still + q (moves - still), with q the length of the
streak in texels, 1 at the most: what stands still is as it was. `twin` is the sum in plain numpy.

Where an edge was spread or softened beyond the matte a (raised by spill), the plate shows
something else, which a difference from c says nothing about. There, with the share
x = m - min(m, a), paint is laid over: the sums have min(m, a) for m and gain
w x (l p(u) - o(u) base), with o the opacity of what lies on the texture and p = d + o c its
premultiplied colours, and the same of light.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from nvd_core.editing import kernel_numba
from nvd_core.editing.edges import continued, edged, reach_of, spilt
from nvd_core.editing.frame_kernels import FrameKernels, Textures
from nvd_core.editing.holdout import read_holdout
from nvd_core.editing.kernel import Kernel
from nvd_core.editing.motion_blur import Around, moved, sample_times, steps_of
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.images import decode_srgb, encode_srgb, to_float
from nvd_core.shot.finish import PLAIN_EDGES, Finish
from nvd_core.shot.manifest import PartRecord
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import Values, lay_on_maps


class Finishing:
    """Makes the change that the paint on the layers `names` makes to frames of a shot."""

    def __init__(
        self,
        shot: Shot,
        sheets: Sheets,
        names: Sequence[str],
        finish: Finish,
        values: Values,
        device: str,
    ) -> None:
        self._shot, self._sheets, self._finish, self._values = shot, sheets, finish, values
        self.names = list(names)
        self._still, self._light = (
            FrameKernels(Textures(sheets, self.names, mode), False, device)
            for mode in ("delta", "light_delta")
        )
        self._over = {
            mode: FrameKernels(Textures(sheets, self.names, mode), False, device)
            for mode in ("paint", "light_paint", "cover")
        }
        self.spills = any(finish.of(name).spill for name in self.names)
        self._packed: dict[str, tuple[np.ndarray, kernel_numba.PackedTextures]] = {}

    @property
    def blurs(self) -> bool:
        """Whether the maps of the frames before and after are needed."""
        return self._finish.motion_blur.shutter > 0

    @property
    def reads(self) -> list[str]:
        """The layers whose maps are needed: all where colours are compared with those behind."""
        return self._shot.names if self.spills else self.names

    def change(
        self, around: Around, t: int, frame: np.ndarray, below: np.ndarray | None = None
    ) -> np.ndarray:
        """What is added to frame `t`, float32 [H, W, 3], display-encoded; 0 where nothing shows.

        `around` is of the layers `reads`, as they stand in the folder, and `frame` as
        `frame_kernels` take it. It is added to `below`, display-encoded, by itself the frame.
        """
        plate = below
        if self.spills or below is None:
            plate = to_display(frame, self._shot.manifest.clip.is_linear)
        base = plate if below is None else below
        maps, own, grown = self.prepared(around, t, plate)
        maps.uva[..., 2] -= grown
        still = self.composed(maps, self._still.at(t))
        beyond = FrameMaps(maps.uva.copy(), maps.residual)
        beyond.uva[..., 2] = grown
        unlit = FrameMaps(beyond.uva, np.ones_like(maps.residual))
        if grown.any():
            still += self.composed(beyond, self._over["paint"].at(t))
            still -= self.composed(unlit, self._over["cover"].at(t)) * base
        if not self.blurs:
            return still
        light, length = self.blurred(maps, own, around, t, self._light.at(t))
        if grown.any():
            over, farther = self.blurred(beyond, own, around, t, self._over["light_paint"].at(t))
            covers, _ = self.blurred(unlit, own, around, t, self._over["cover"].at(t))
            light += over - covers * decode_srgb(base)
            length = np.maximum(length, farther)
        return _moving(still, light, length, base)

    def composed(self, maps: FrameMaps, kernel: Kernel) -> np.ndarray:
        """What a kernel of deltas makes of `prepared` maps, float32 [H, W, 3]."""
        return kernel(np.zeros((*maps.uva.shape[1:3], 3), np.float32), maps)

    def blurred(
        self, maps: FrameMaps, own: list[np.ndarray], around: Around, t: int, kernel: Kernel
    ) -> tuple[np.ndarray, np.ndarray]:
        """What a kernel of light makes of all samples of `prepared` maps, float32 [H, W, 3].

        And how long the streaks are, texels, 1 at the most, float32 [H, W].
        """
        total = np.zeros((*maps.uva.shape[1:3], 3), np.float32)
        length = np.zeros(total.shape[:2], np.float32)
        box = _box(maps, own)
        if box is None:
            return total, length
        numbers = [self.reads.index(name) for name in self.names]
        sides = (None if s is None else s[numbers] for s in (around.before, around.after))
        before, after = (None if s is None else s[:, *box] for s in sides)
        cut = FrameMaps(np.ascontiguousarray(maps.uva[:, *box]), maps.residual[:, *box])
        blur, alphas = self._finish.motion_blur, [alpha[box] for alpha in own]
        parts = [self._shot.layer(name).parts for name in self.names]
        samples = _Samples(cut, alphas, before, after, sample_times(blur), parts)
        shown = np.zeros((*cut.uva.shape[1:3], 3), np.float32)
        for sample in samples:
            shown = kernel(shown, sample)
        total[box] = shown
        sizes = [
            self._sheets.at(name, t).delta.shape[1::-1] if self._sheets.lies(name, t) else None
            for name in self.names
        ]
        length[box] = samples.length(sizes, blur.shutter)
        return total, length

    def prepared(
        self, around: Around, t: int, plate: np.ndarray | None
    ) -> tuple[FrameMaps, list[np.ndarray], np.ndarray]:
        """`with_edges`, and the layers' values in all of it."""
        made, own, grown = self.with_edges(around, t, plate)
        for n, name in enumerate(self.names):
            grown[n] *= self._values.at(name, t)[0]
        return lay_on_maps(made, self.names, self._values, t), own, grown

    def with_edges(
        self, around: Around, t: int, plate: np.ndarray | None
    ) -> tuple[FrameMaps, list[np.ndarray], np.ndarray]:
        """The maps of the painted layers with their edges, and their own mattes.

        The last is what of the edges lies beyond the mattes, float32 [L, H, W]. `plate`: the
        frame's display colours, float32 [H, W, 3], where an edge `spills`.
        """
        maps = around.maps
        numbers = [self.reads.index(name) for name in self.names]
        made = FrameMaps(maps.uva[numbers], maps.residual[numbers])
        own = [made.uva[n, ..., 2].copy() for n in range(len(numbers))]
        grown = np.zeros(made.uva.shape[:3], np.float32)
        for n, name in enumerate(self.names):
            edges = self._finish.of(name)
            if edges == PLAIN_EDGES:
                continue
            continued(made.uva[n], made.residual[n], reach_of(edges, made.uva.shape[1]))
            alpha = own[n]
            if edges.spill and plate is not None:
                alone, behind = self._colours(maps, made, n, t)
                alpha = spilt(alpha, plate, alone, behind, edges.spill)
            holdout = read_holdout(self._shot, edges.holdout, t)
            matte = edged(alpha, edges, holdout)
            made.uva[n, ..., 2] = matte
            np.maximum(matte - alpha, 0, out=grown[n])
        return made, own, grown

    def _colours(
        self, maps: FrameMaps, made: FrameMaps, n: int, t: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Layer `n` of the painted ones as it was learned and lit, alone; and all others so."""
        number = self.reads.index(self.names[n])
        whole = FrameMaps(made.uva[n : n + 1].copy(), made.residual[n : n + 1])
        whole.uva[..., 2] = 1
        alone = self._learned(self.names[n], whole, t)
        rest = np.zeros_like(alone)
        for other, name in enumerate(self.reads):
            if other != number:
                one = FrameMaps(maps.uva[other : other + 1], maps.residual[other : other + 1])
                rest += self._learned(name, one, t)
        left = 1 - maps.uva[number, ..., 2:]
        return alone, rest / np.maximum(left, 1 / 64)

    def _learned(self, name: str, maps: FrameMaps, t: int) -> np.ndarray:
        texture = self._sheets.at(name, t).learned
        if name not in self._packed or self._packed[name][0] is not texture:
            self._packed[name] = texture, kernel_numba.pack_textures({0: texture}, False)
        out = np.empty((*maps.uva.shape[1:3], 3), np.float32)
        kernel_numba.render_full(maps, self._packed[name][1], False, out)
        return out


def _box(maps: FrameMaps, own: list[np.ndarray]) -> tuple[slice, slice] | None:
    """Rows and columns that any of the layers shows in; None for none."""
    shown = (maps.uva[..., 2] > 0).any(0)
    for alpha in own:
        shown |= alpha > 0
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    if not len(rows):
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


class _Samples:
    """The maps of the samples' times, one after the other in the same memory."""

    def __init__(
        self,
        maps: FrameMaps,
        own: list[np.ndarray],
        before: np.ndarray | None,
        after: np.ndarray | None,
        times: np.ndarray,
        parts: list[tuple[PartRecord, ...]],
    ) -> None:
        """`parts`: those of each layer."""
        self._maps, self._times = maps, times
        self._steps = []
        for n, alpha in enumerate(own):
            places = np.concatenate([maps.uva[n, ..., :2], alpha[..., None]], -1)
            earlier, later = (None if side is None else side[n] for side in (before, after))
            self._steps.append(steps_of(places, earlier, later, parts[n]))

    def length(self, sizes: list[tuple[int, int] | None], shutter: float) -> np.ndarray:
        """How long the streaks of what shows are, texels, 1 at the most, float32 [H, W].

        `sizes`: width and height of the layers' textures; None where nothing lies on one, which
        may be painted in other frames.
        """
        longest = np.zeros(self._maps.uva.shape[1:3], np.float32)
        for n, (steps, size) in enumerate(zip(self._steps, sizes, strict=True)):
            for step in steps if size is not None else ():
                far = np.hypot(step[..., 0] * size[0], step[..., 1] * size[1])
                far *= np.float32(shutter) * (self._maps.uva[n, ..., 2] > 0)
                np.maximum(longest, far, out=longest)
        return longest.clip(0, 1)

    def __iter__(self) -> Iterator[FrameMaps]:
        light = decode_srgb(self._maps.residual) / np.float32(len(self._times))
        shifted = self._maps.uva.copy()
        for time in self._times:
            for n, (backward, forward) in enumerate(self._steps):
                moved(self._maps.uva[n], backward, forward, float(time), shifted[n])
            yield FrameMaps(shifted, light)


def _moving(
    still: np.ndarray, light: np.ndarray, length: np.ndarray, below: np.ndarray
) -> np.ndarray:
    """The change of `below`: `still` where nothing moves, and by `light` where it does."""
    where = (length > 0) & ((light != 0) | (still != 0)).any(2)
    base = below[where]
    moves = encode_srgb(decode_srgb(base) + light[where]) - base
    moves[light[where] == 0] = 0
    result = still.copy()
    result[where] += length[where][:, None] * (moves - still[where])
    return result


def to_display(frame: np.ndarray, linear: bool) -> np.ndarray:
    """A frame's values display-encoded, float32 [H, W, 3]; `linear` says what floats hold."""
    if frame.dtype.kind == "u":
        return to_float(frame)
    return (encode_srgb(frame) if linear else frame).astype(np.float32, copy=False)


def add_change(frame: np.ndarray, change: np.ndarray, linear: bool) -> np.ndarray:
    """The frame with a `change` of display values; where that is 0 its values stay, bit for bit."""
    where = (change != 0).any(2)
    out = frame.copy()
    before, by = frame[where], change[where]
    if frame.dtype.kind == "u":
        most = np.float32(np.iinfo(frame.dtype).max)
        after = ((before + by * most).clip(0, most) + np.float32(0.5)).astype(frame.dtype)
    elif linear:
        after = decode_srgb(encode_srgb(before) + by)
    else:
        after = before + by
    out[where] = np.where(by != 0, after, before)
    return out


def twin(
    lookup: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    delta: np.ndarray,
    maps: FrameMaps,
    steps: tuple[np.ndarray, np.ndarray],
    times: np.ndarray,
) -> np.ndarray:
    """The sum of `moves` for one layer, float64 [H, W, 3]; with the time 0 alone that of `still`.

    `lookup`(texture, u, v) is bilinear, of D, or of d; `maps` have edges and values in them, and as
    residual dec(l), or l; `steps` are the layer's motion to the frame before and after. For tests.
    """
    u, v, alpha = np.moveaxis(maps.uva[0].astype(np.float64), -1, 0)
    mean = 0.0
    for time in times:
        step = (steps[1] if time > 0 else steps[0]).astype(np.float64)
        mean = mean + lookup(delta, u + time * step[..., 0], v + time * step[..., 1])
    return alpha[..., None] * maps.residual[0].astype(np.float64) * mean / len(times)
