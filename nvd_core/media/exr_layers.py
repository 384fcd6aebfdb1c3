"""Which channels of an EXR are the picture: whole layers, by their names, never by the alphabet.

A channel `beauty.R` belongs to the layer `beauty`; `R` alone to the file's root. A file of several
parts has layers in each. The picture is the root's RGBA, else the layer called Combined, beauty or
rgba; every other layer has to be asked for by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import OpenImageIO as oiio

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.shown import shown

PICTURES = ("combined", "beauty", "rgba")
"""what the layer of the picture is called, in the order in which they are looked for"""

_LETTERS = {"r": "R", "red": "R", "g": "G", "green": "G", "b": "B", "blue": "B"}
_LETTERS |= {"a": "A", "alpha": "A", "y": "Y"}
_MOST_NAMED = 12


@dataclass(frozen=True)
class Layer:
    """The channels of one layer in one part of a file."""

    part: int
    part_name: str
    name: str
    """what stands before the channels' last dot; empty at the root"""
    channels: tuple[tuple[str, int], ...]
    """last part of each channel's name as it is written, and its place in the part"""

    @property
    def letters(self) -> dict[str, int]:
        """The places of R, G, B, A and Y, those that are there."""
        return {_LETTERS[c.lower()]: n for c, n in self.channels if c.lower() in _LETTERS}

    @property
    def colours(self) -> bool:
        """Whether there are R, G and B."""
        return {"R", "G", "B"} <= set(self.letters)

    @property
    def title(self) -> str:
        """The name to ask for it: that of its part and its own, each once."""
        part, name = self.part_name, self.name
        if not name or not part or name.lower().startswith(part.lower()):
            return name or part
        return f"{part}.{name}"

    @property
    def last(self) -> str:
        """The last component of its title, in small letters: `combined` of `ViewLayer.Combined`."""
        return self.title.rpartition(".")[2].lower()

    def wanted(self) -> list[int]:
        """Places of its channels as a picture of 1 to 4 channels; empty where it is none."""
        letters = self.letters
        if self.colours:
            return [letters[c] for c in "RGBA" if c in letters]
        names = {c.lower() for c, _ in self.channels}
        if names & {"ry", "by"}:  # the colours of a luminance, which are not put together here
            return []
        grey = not self.name and "x" not in names  # at the root, whatever else there is
        if "Y" in letters and (grey or names <= {"y", "a"}):
            return [letters[c] for c in "YA" if c in letters]
        return [n for _, n in self.channels] if len(self.channels) in (1, 3) else []

    def alpha(self) -> bool:
        """Whether the last channel of `wanted` is an alpha."""
        places = self.wanted()
        return len(places) in (2, 4) and places[-1] == self.letters.get("A")


def layers_of(image_input: oiio.ImageInput) -> list[Layer]:
    """All layers of an open EXR, in the order of its parts."""
    layers, part = [], 0
    while image_input.seek_subimage(part, 0):
        spec = image_input.spec()
        name = str(spec.getattribute("oiio:subimagename") or spec.getattribute("name") or "")
        groups: dict[str, list[tuple[str, int]]] = {}
        for place, channel in enumerate(spec.channelnames):
            before, dot, last = channel.rpartition(".")
            groups.setdefault(before or dot, []).append((last, place))
        layers += [Layer(part, name, group, tuple(found)) for group, found in groups.items()]
        part += 1
    image_input.seek_subimage(0, 0)
    return layers


def choose_layer(path: Path | str, layers: list[Layer], wanted: str | None) -> Layer:
    """The layer `wanted` of the file `path`, or its picture where None is; NvdError that lists all.

    A layer is asked for by its name, with the name of its part or without, or by the end of it
    where that is one layer's alone; a single channel likewise.
    """
    found = _named(layers, wanted) if wanted else _picture(layers)
    if len(found) == 1 and found[0].wanted():
        return found[0]
    if wanted:
        problem = (
            f"{path} has several layers {shown(wanted)}"
            if len(found) > 1
            else f"the layer {shown(wanted)} of {path} is no picture of 1 to 4 channels"
            if found
            else f"{path} has no layer {shown(wanted)}"
        )
    else:
        problem = f"cannot tell the picture among the channels of {path}"
    raise NvdError(
        problem,
        expected="R, G, B (and A) at the root, or in a layer called Combined, beauty or rgba",
        found=listed(layers),
        remedy="name the layer behind the file, such as "
        f"{Path(path).name}:{_example(layers)}; R, G, B at the root need no name",
    )


def listed(layers: list[Layer]) -> str:
    """The layers in words: `beauty (R, G, B, A), depth (Z)`, by part where there are several."""
    several = len({layer.part for layer in layers}) > 1
    words = []
    for layer in layers[:_MOST_NAMED]:
        where = f"part {layer.part} {layer.part_name}: ".replace(" :", ":") if several else ""
        channels = ", ".join(name for name, _ in layer.channels[:6])
        words.append(f"{where}{layer.name or 'root'} ({channels})")
    more = len(layers) - _MOST_NAMED
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")


def _example(layers: list[Layer]) -> str:
    titles = [layer.title for layer in layers if layer.title and layer.wanted()]
    return next(iter(titles), "beauty")


def _named(layers: list[Layer], wanted: str) -> list[Layer]:
    """The layers that `wanted` may mean, by the closest kind of likeness that one has."""
    for fold in (str, str.lower):
        name = fold(wanted)
        ways = (
            [layer for layer in layers if name in (fold(layer.title), fold(layer.name))],
            [layer for layer in layers if name == fold(layer.part_name) and not layer.name],
            [layer for layer in layers if name == fold(layer.part_name)],
            [one for layer in layers for one in _channels(layer) if name == fold(one.name)],
            [layer for layer in layers if fold(layer.title).endswith("." + name)],
            [one for layer in layers for one in _ending(layer, "." + name, fold)],
        )
        for found in ways:
            exact = [layer for layer in found if name == fold(layer.title)]
            if found:
                return exact if len(exact) == 1 else found
    if wanted.lower() == "root":
        return [layer for layer in layers if not layer.name][:1]
    return []


def _channels(layer: Layer) -> list[Layer]:
    """Each channel as a layer of its own, by its whole name, with that of its part or without."""
    befores = {f"{before}." if before else "" for before in (layer.title, layer.name)}
    return [
        Layer(layer.part, "", before + c, (("Y", n),))
        for c, n in layer.channels
        for before in sorted(befores)
    ]


def _ending(layer: Layer, end: str, fold: Callable[[str], str]) -> list[Layer]:
    """The channels whose whole names end so, each once."""
    found = [one for one in _channels(layer) if fold(one.name).endswith(end)]
    return list({one.channels: one for one in found}.values())


def _picture(layers: list[Layer]) -> list[Layer]:
    """The layers that may be the picture: one where it is clear.

    Where there are several parts the name of each counts, since any pass may be a part's root.
    """
    several = len({layer.part for layer in layers}) > 1
    coloured = [layer for layer in layers if layer.colours and not _is_data(layer)]
    roots = [layer for layer in layers if not layer.name and not (several and layer.part_name)]
    if found := [layer for layer in coloured if layer in roots]:
        return found
    for name in PICTURES:
        found = [layer for layer in coloured if layer.last == name]
        composite = [layer for layer in found if layer.title.lower().startswith("composite.")]
        if found:
            return composite if len(composite) == 1 else found
    if len(layers) == 1 and not _is_data(layers[0]):
        return layers
    return [] if coloured else [layer for layer in roots if "Y" in layer.letters]


def _is_data(layer: Layer) -> bool:
    return "crypto" in layer.title.lower()
