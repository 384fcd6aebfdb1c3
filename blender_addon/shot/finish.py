"""How a shot's paint meets the plate: edges, holdouts and motion blur, set on the shot.

    entry.layers["toy"].choke = 1.5      # pixels of the plate
    entry.motion_blur = True
    save(entry)                          # as saving the paint does

The properties are the one place in Blender; edits/finish.json is where the engine finds them. The
engine and the live preview show them all; the node and the panel say what nodes are without.
"""

import bpy

from ..blender.redraw import redraw
from . import edge_nodes, finish_file
from .finish_file import MOST, Finish
from .folder import Shot, ShotError

EDGES = tuple(MOST)
NOT_IN_NODES = " (without edges and motion blur)"
"""what is added to the label of the node that composites the shot"""


def finish_of(entry) -> Finish:
    """What is set on the shot."""
    edges = {
        (layer.name, what): value
        for layer in entry.layers
        for what in EDGES
        if (value := getattr(layer, what))
    }
    holdouts = {layer.name: layer.holdout for layer in entry.layers if layer.holdout}
    shutter = entry.shutter if entry.motion_blur else 0.0
    return Finish(edges, holdouts, shutter, entry.blur_samples)


def in_use(entry) -> bool:
    """Whether anything is set."""
    return bool(finish_of(entry).digest)


def lacking(entry) -> bool:
    """Whether the nodes that composite the shot are without some of it."""
    found, node = finish_of(entry), entry.group_node()
    if node is None or not found.digest:
        return bool(found.digest) and not edge_nodes.shows_all(found)
    return bool(node.node_tree.get(edge_nodes.LACKS, True))


def lacks_of(entry) -> list[tuple[str, str]]:
    """What the nodes that composite the shot are without, each with its layer (edge_nodes.py)."""
    on = [item.stored for item in entry.stack if item.on]
    kept = [(edge_nodes.KEPT, layer) for layer in sorted(e.layer for e in on if e.keeps_width)]
    if not lacking(entry):
        return kept
    found = edge_nodes.lacks(finish_of(entry), entry.mode)
    return (found or [(edge_nodes.HOLDOUT, "")]) + kept  # or the group is of an older version


def take_up(entry, shot: Shot, found: Finish) -> None:
    """Set what the folder says, where another program has changed that since it was read or
    written here.
    """
    theirs = found.digest
    if theirs != entry.finish_seen:
        _set(entry, found)
        entry.finish_saved = theirs
    entry.finish_seen = theirs
    _known(entry).add(theirs)
    _follow(entry)


def _set(entry, found: Finish) -> None:
    for layer in entry.layers:
        for what in EDGES:
            setattr(layer, what, found.edges.get((layer.name, what), 0.0))
        layer.holdout = found.holdouts.get(layer.name, "")
    entry.motion_blur = found.shutter > 0
    if found.shutter:
        entry.shutter, entry.blur_samples = found.shutter, found.samples


def save(entry) -> None:
    """Write it into the shot's folder where it has changed.

    ShotError where another program has changed the file as well, and where the disk refuses.
    """
    if entry.missing or not (in_use(entry) or finish_file.finish_path(entry.path).is_file()):
        return
    mine, shot = finish_of(entry), entry.read()
    theirs = finish_file.read_finish(shot).digest
    if theirs != mine.digest:
        is_ours = theirs in ("", entry.finish_seen, *_known(entry))
        if not is_ours and mine.digest == entry.finish_saved:
            return  # nothing was changed here
        if not is_ours:
            path = finish_file.finish_path(entry.path)
            raise ShotError(
                f"{path} was changed by another program, and edges or motion blur here",
                "press Rebuild Nodes to take what the file says, or remove the file to keep yours",
            )
        finish_file.write_finish(entry.path, mine)
    _known(entry).add(mine.digest)
    entry.finish_seen = entry.finish_saved = mine.digest


_written: dict[str, set[str]] = {}
"""by a shot's id: what was read or written here, which an undo may have taken back"""


def _known(entry) -> set[str]:
    return _written.setdefault(entry.id, set())


def after_set(entry) -> None:
    """What was set shows in nodes and panel, or is said there."""
    _follow(entry)
    redraw()


def _follow(entry) -> None:
    """Let the nodes show what they can of what is set, and say of the rest that they do not."""
    layers, folder = [layer.name for layer in entry.layers], entry.path
    for tree in [tree for tree in bpy.data.node_groups if tree.get("nvd_folder") == str(folder)]:
        edge_nodes.apply(tree, folder, layers, finish_of(entry), entry.frames)
    node = entry.group_node()
    if node is not None:
        label(node, lacking(entry))


def label(node, lacks: bool) -> None:
    """Say on the node whether its picture `lacks` edges and motion blur."""
    wanted = node.label.replace(NOT_IN_NODES, "") + (NOT_IN_NODES if lacks else "")
    if node.label != wanted:
        node.label = wanted
