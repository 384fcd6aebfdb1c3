"""Edges of a layer's paint in the nodes of a shot: choke, feather and holdout, in delta.

They stand between a layer's map and what looks it up, and are put in anew whenever they are set.
Nodes know no places beyond a layer's matte, so they show what stays inside it: an edge that is
drawn in at least as far as it is softened. They show neither spill nor motion blur.
"""

import math
from pathlib import Path

import bpy

from ..blender import compat
from ..blender.inside import inside
from ..blender.pixels import STORED
from . import nodes
from .finish_file import MOST, Finish
from .folder import ShotError
from .image_header import check_image

EDGE = " edge"
"""with what the names of their nodes end, behind the layer's"""


LACKS = "nvd_lacks_edges"
"""of a group: whether it was asked for edges or motion blur that it does not show"""


SPREAD, WIDE, SPILL = "spread", "feather wider than the choke", "spill"
BLUR, FULL, HOLDOUT = "motion blur", "edges in full mode", "a holdout that cannot be read"
KEPT = "strokes and words that keep their width"
"""what nodes may lack, in words"""


def lacks(finish: Finish, mode: str = "delta") -> list[tuple[str, str]]:
    """What nodes cannot show of it, each with its layer, "" for the whole shot."""
    layers = {layer for layer, _what in finish.edges} | set(finish.holdouts)
    if mode == "full":
        found = [(FULL, layer) for layer in sorted(layers)]
    else:
        found = [(what, layer) for layer in sorted(layers) for what in _lacks(finish, layer)]
    return found + ([(BLUR, "")] if finish.shutter else [])


def in_words(found: list[tuple[str, str]]) -> str:
    """The same as one phrase."""
    return " and ".join(f"{what} of {layer}" if layer else what for what, layer in found)


def _lacks(finish: Finish, layer: str) -> list[str]:
    choke, feather, spill = (finish.edges.get((layer, what), 0.0) for what in MOST)
    return [
        what
        for what, there in ((SPREAD, choke < 0), (WIDE, feather > max(choke, 0)), (SPILL, spill))
        if there
    ]


def shows(finish: Finish, layer: str) -> bool:
    """Whether nodes can show the edges of the layer's paint."""
    return not _lacks(finish, layer)


def shows_all(finish: Finish) -> bool:
    """Whether nodes can show all that it says, in delta."""
    return not lacks(finish)


def apply(
    tree: bpy.types.NodeTree, folder: Path, layers: list[str], finish: Finish, frames: int
) -> bool:
    """Let the group `tree` of the shot in `folder` show the edges that it can; whether that is all.

    A layer whose holdout is missing or damaged has no edges then; the engine refuses to render it.
    """
    all_shown = is_able(tree, layers) and shows_all(finish)
    for layer in layers if is_able(tree, layers) else ():
        place = tree.nodes[f"{layer} place"]
        for old in [node for node in tree.nodes if _is_edge(node, layer)]:
            tree.nodes.remove(old)
        source = tree.nodes[place["nvd_source"]].outputs[place["nvd_output"]]
        if shows(finish, layer):
            try:
                source = _edged(tree, layer, source, folder, finish, frames)
            except ShotError:
                all_shown = False
        tree.links.new(source, place.inputs[0])
    all_shown = all_shown or not finish.digest
    tree[LACKS] = not all_shown
    return all_shown


def is_able(tree: bpy.types.NodeTree, layers: list[str]) -> bool:
    """Whether a shot's group can show edges: in delta, and not one of an older version."""
    places = [f"{layer} place" in tree.nodes for layer in layers]
    return tree.get("nvd_mode") != "full" and all(places)


def _is_edge(node, layer: str) -> bool:
    return node.name.partition(".")[0] == layer + EDGE


def _edged(tree, layer: str, source, folder: Path, finish: Finish, frames: int):
    """The socket of the layer's places with the matte's edges."""
    choke, feather = (finish.edges.get((layer, what), 0.0) for what in ("choke", "feather"))
    holdout = finish.holdouts.get(layer)
    if not (choke or holdout):
        return source
    image = _holdout_image(folder, holdout) if holdout else None
    before = set(tree.nodes)
    across, up, matte = compat.separate_xyz(tree, source)
    if choke:
        matte = _choked(tree, matte, choke)
    if feather:
        matte = compat.blur(tree, matte, feather)
    if image is not None:
        moving = frames if "%" in holdout else 0
        shown = nodes.image_node(tree, image, f"{layer} holdout", (0, 0), frames=moving)
        front = compat.separate_colour(tree, shown.outputs["Image"])[0]
        matte = compat.math(tree, "MULTIPLY", matte, compat.math(tree, "SUBTRACT", 1.0, front))
    result = compat.combine_xyz(tree, across, up, matte)
    row = tree.nodes[f"{layer} maps"].location
    made = [node for node in tree.nodes if node not in before]
    for column, node in enumerate(made):
        node.name = layer + EDGE
        node.location = row.x + 180 * column, row.y - 480
    return result


def _choked(tree, matte, pixels: float):
    whole = math.floor(pixels)
    part = pixels - whole
    near = compat.erode(tree, matte, whole) if whole else matte
    if not part:
        return near
    far = compat.erode(tree, matte, whole + 1)
    return compat.math(tree, "MULTIPLY_ADD", compat.math(tree, "SUBTRACT", far, near), part, near)


def _holdout_image(folder: Path, holdout: str) -> bpy.types.Image:
    path = inside(folder, holdout.replace("%05d", "00000"), ShotError)
    check_image(path, ShotError)
    image = next((i for i in bpy.data.images if i.get("nvd_holdout") == str(path)), None)
    if image is None:
        image = bpy.data.images.load(str(path))
        image["nvd_holdout"] = str(path)
        image.name = f"{folder.stem} {Path(holdout).parent.name} holdout"
        image.colorspace_settings.name = STORED
        image.source = "SEQUENCE" if "%" in holdout else "FILE"
    return image
