"""The layers' sheets as they show in a frame: what is painted, and the stack of edits on it.

A sheet is the edited texture of a layer. Where no entry of the stack shows, it is the painted one
as `load_edit` has it, bit for bit. docs/reference/decomposition-folder.md has the formula. What
keeps its width is on no sheet: `kept_width.py` draws it in the frames.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nvd_core.editing.edits import edit_paths, load_edit, load_texture, resized
from nvd_core.editing.stack_blend import BLENDS, adjusted
from nvd_core.editing.stack_pictures import Pictures
from nvd_core.media.images import decode_srgb
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry, Stack, read_stack

State = tuple[tuple[int, float, int], ...]
"""number, strength and picture of the entries that show; equal where a layer's sheet is the same"""


@dataclass(frozen=True)
class Sheet:
    """The sheet of a layer in some frames, display-encoded."""

    learned: np.ndarray  # float32 [h, w, 3], the texture c
    delta: np.ndarray  # float32 [h, w, 3], what is added to it; exactly 0 where nothing lies
    opacity: np.ndarray | None = None
    """float32 [h, w, 1], of what lies there; None: it is 1 wherever the delta is not 0"""

    @cached_property
    def full(self) -> np.ndarray:
        """The texture as it shows, float32 [h, w, 3]."""
        return self.learned + self.delta

    @cached_property
    def cover(self) -> np.ndarray:
        """The opacity of all that lies on the sheet, float32 [h, w, 3], thrice the same."""
        lies = (self.delta != 0).any(2, keepdims=True)
        own = np.where(lies, 1 if self.opacity is None else self.opacity, 0)
        return np.repeat(own.astype(np.float32), 3, axis=2)

    @cached_property
    def paint(self) -> np.ndarray:
        """What lies on the sheet alone, premultiplied: over the texture it gives `full`."""
        return self.delta + self.cover * self.learned

    @cached_property
    def light_full(self) -> np.ndarray:
        """`full` as light, for what is averaged as a camera does."""
        return decode_srgb(self.full)

    @cached_property
    def light_delta(self) -> np.ndarray:
        """What paint adds as light; exactly 0 where nothing lies."""
        return np.where(self.delta != 0, self.light_full - decode_srgb(self.learned), 0)

    @cached_property
    def light_paint(self) -> np.ndarray:
        """`paint` as premultiplied light."""
        cover = self.cover
        straight = np.divide(self.paint, cover, out=np.zeros_like(cover), where=cover > 0)
        return cover * decode_srgb(straight)


class Sheets:
    """The sheets of all layers of `shot`, frame by frame; the last of each layer is kept."""

    def __init__(
        self,
        shot: Shot,
        edits: dict[str, Path] | None = None,
        stack: Stack | None = None,
    ) -> None:
        """`edits` by layer in place of the folder's own; `stack` None: the folder's own."""
        self._shot = shot
        self._paths = edit_paths(shot, edits or {})
        self.stack = read_stack(shot) if stack is None else stack
        on = {name: self.stack.on(name) for name in shot.names}
        self._on = {n: [one for one in all_ if not one.keeps_width] for n, all_ in on.items()}
        self._kept = {n: [one for one in all_ if one.keeps_width] for n, all_ in on.items()}
        self._pictures = Pictures(shot)
        self._painted: dict[str, Sheet] = {}
        self._grown: dict[str, Sheet] = {}
        self._differs: dict[str, bool] = {}
        self._last: dict[str, tuple[State, Sheet]] = {}

    def painted(self, name: str) -> bool:
        """Whether anything may lie on the layer, in any frame."""
        return name in self._paths or bool(self._on[name])

    def moves(self, name: str) -> bool:
        """Whether the layer's sheet may differ from frame to frame."""
        return bool(self._on[name])

    def lies(self, name: str, t: int) -> bool:
        """Whether anything may show of what is painted on the layer in frame `t`."""
        return bool(self.state(name, t)) or self.has_paint(name)

    def state(self, name: str, t: int) -> State:
        """What the layer's sheet of frame `t` hangs on, beside its files."""
        shown = []
        for number, entry in enumerate(self._on[name]):
            strength = entry.strength(t, self._shot.frames)
            picture = self._pictures.number(entry, t) if strength > 0 else None
            if picture is not None:
                shown.append((number, strength, picture))
        return tuple(shown)

    def check(self, numbers: Iterable[int], names: Iterable[str] | None = None) -> None:
        """NvdError where a file is missing or no picture, of an entry that shows in `numbers`."""
        numbers = list(numbers)
        for name in self._shot.names if names is None else names:
            for entry in (*self._on[name], *self._kept[name]):
                if any(entry.strength(t, self._shot.frames) > 0 for t in numbers):
                    self._pictures.check(entry)

    def kept(self, name: str, t: int) -> list[tuple[Entry, float]]:
        """The entries on the layer that keep their width and show in frame `t`, and how opaque."""
        found = [(entry, entry.strength(t, self._shot.frames)) for entry in self._kept[name]]
        return [(entry, strength) for entry, strength in found if strength > 0]

    def lacks_kept(self, numbers: Iterable[int], names: Iterable[str] | None = None) -> list[str]:
        """The names of entries that keep their width and show in `numbers`: no sheet has them."""
        numbers = list(numbers)
        layers = self._shot.names if names is None else list(names)
        shown = {e.name for name in layers for t in numbers for e, _ in self.kept(name, t)}
        return sorted(shown)

    def at(self, name: str, t: int) -> Sheet:
        """The sheet of the layer in frame `t`; the very same object while nothing changes."""
        state = self.state(name, t)
        if not state:
            return self.of_paint(name)
        if name not in self._last or self._last[name][0] != state:
            self._last[name] = state, self._made(name, state)
        return self._last[name][1]

    def sized(self, name: str, t: int) -> Sheet:
        """The same, of one size in all frames: that at which entries are laid."""
        return self.at(name, t) if self.state(name, t) else self._below(name)

    def of_paint(self, name: str) -> Sheet:
        """The layer's sheet without the stack."""
        if name not in self._painted:
            path = self._paths.get(name)
            if path is None:
                texture = load_texture(self._shot, name)
                sheet = Sheet(texture, np.zeros_like(texture))
            else:
                edit = load_edit(self._shot, name, path)
                sheet = Sheet(edit.learned, edit.delta, edit.opacity)
            self._painted[name] = sheet
        return self._painted[name]

    def has_paint(self, name: str) -> bool:
        """Whether the layer's painted sheet differs from its texture."""
        if name not in self._differs:
            self._differs[name] = name in self._paths and bool(self.of_paint(name).delta.any())
        return self._differs[name]

    def _below(self, name: str) -> Sheet:
        """What is painted, not smaller than the texture."""
        if name not in self._grown:
            sheet, record = self.of_paint(name), self._shot.layer(name)
            width, height = record.texture_width, record.texture_height
            if sheet.delta.shape[0] * sheet.delta.shape[1] < width * height:
                delta = resized(sheet.delta, width, height)
                opacity = sheet.opacity
                if opacity is not None:
                    opacity = resized(opacity, width, height).reshape(height, width, 1)
                sheet = Sheet(load_texture(self._shot, name), delta, opacity)
            self._grown[name] = sheet
        return self._grown[name]

    def _made(self, name: str, state: State) -> Sheet:
        below = self._below(name)
        sheet = below.full.copy()
        delta = below.delta.copy()
        opacity = below.cover[..., :1].copy()
        for number, strength, picture in state:
            self._lay(self._on[name][number], strength, picture, below, sheet, delta, opacity)
        return Sheet(below.learned, delta, opacity)

    def _lay(
        self,
        entry: Entry,
        strength: float,
        picture: int,
        beneath: Sheet,
        sheet: np.ndarray,
        delta: np.ndarray,
        opacity: np.ndarray,
    ) -> None:
        """Lay an entry on `sheet`, and note what it makes of `delta` and `opacity`, in place."""
        height, width = sheet.shape[:2]
        adjusts = entry.kind == "adjustment"
        if adjusts:
            laid = self._pictures.mask(entry, width, height)
        else:
            laid = self._pictures.placed(entry, picture, width, height)
        box = laid.rows, laid.columns
        below = sheet[box]
        source = adjusted(below, entry) if adjusts else laid.colours
        share = laid.alpha * np.float32(strength)
        mixed = below + share * (BLENDS[entry.blend](below, source) - below)
        touched = share[..., 0] > 0
        sheet[box][touched] = mixed[touched]
        delta[box][touched] = (mixed - beneath.learned[box])[touched]
        opacity[box] += share * (1 - opacity[box])
