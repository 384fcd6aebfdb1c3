"""Visibility and relight of a shot's layers: set on the shot, keyed in its scene's own timeline.

    layer = entry.layers["toy"]
    layer.light = 0.4
    layer.keyframe_insert("light", frame=112)     # of the scene that lists the shot: its strip's
    follow(entry)                                 # what the handlers do by themselves

The layer's properties are the one place. From there they go, a value for each of the clip's frames,
onto the inputs of the shot's node in the scene that composites it, whose frames are the clip's, and
into edits/values.json, which the engine obeys. What is set or keyed at the node's inputs, as older
versions had it, is taken over to the layer, once, and the node follows the layer again.
"""

import json
from collections.abc import Callable, Iterator, Sequence

import bpy

from ..blender import compat
from . import values_file
from .folder import Shot, ShotError
from .values_file import MOST, Value

INPUTS = {"visibility": "Visibility", "light": "Relight"}
"""what the node calls a layer's values"""
MARK = "nvd_values"
"""of a node: what was put on its inputs from here, so that all else is known to be an artist's"""

strip_frames: list[Callable[[bpy.types.PropertyGroup], Sequence[int] | None]] = []
"""by strip/shot_frames.py: the timeline's frame of each of a shot's frames; None without a strip"""


def timeline_frames(entry) -> Sequence[int]:
    """The frame of the scene that lists the shot for each frame of the clip; without a strip the
    clip begins at 1. AddonError where only rendering could tell.
    """
    for known in strip_frames:
        frames = known(entry)
        if frames is not None:
            return frames
    return range(1, entry.frames + 1)


def value_at(entry, layer, what: str, t: int) -> float:
    """A layer's "visibility" or "light" in frame `t` of the clip."""
    curve = _curve(layer.id_data, layer.path_from_id(what))
    if curve is None or not entry.frames:
        return getattr(layer, what)
    return _possible(what, curve.evaluate(timeline_frames(entry)[min(max(t, 0), entry.frames - 1)]))


def values_of(entry) -> dict[tuple[str, str], Value]:
    """All values by layer and kind: numbers, or one for each of the clip's frames."""
    values: dict[tuple[str, str], Value] = {}
    for layer in entry.layers:
        for what in INPUTS:
            curve = _curve(layer.id_data, layer.path_from_id(what))
            value: Value = getattr(layer, what)
            if curve is not None and entry.frames:
                frames = timeline_frames(entry)
                value = [_possible(what, curve.evaluate(frame)) for frame in frames]
            values[layer.name, what] = value
    return values


def playhead(entry, scene: bpy.types.Scene) -> float:
    """The frame of the shot's timeline that the window's `scene` stands at."""
    if scene == entry.scene and scene != entry.id_data:
        return timeline_frames(entry)[min(max(scene.frame_current - 1, 0), entry.frames - 1)]
    return entry.id_data.frame_current


def insert_key(entry, layer, what: str, frame: float) -> None:
    """Key the value that the layer has now, at `frame` of the shot's timeline."""
    layer.keyframe_insert(what, frame=frame)
    follow(entry)


def delete_key(entry, layer, what: str, frame: float) -> None:
    """Delete the key at that frame; with the last one the value stands still as it is."""
    if is_keyed(layer, what):
        layer.keyframe_delete(what, frame=frame)
        follow(entry)


def is_keyed(layer, what: str) -> bool:
    return _curve(layer.id_data, layer.path_from_id(what)) is not None


def follow(entry) -> None:
    """Bring what is set at the shot's node to its layers, and the layers' values to all nodes."""
    if _state.busy or not entry.frames:
        return
    _state.busy = True
    try:
        node = entry.group_node()
        if node is not None:
            _take_over(entry, node)
        values = values_of(entry)
        if node is not None:
            _put_on(node, values, range(1, entry.frames + 1))
        for made in _modifier_nodes(entry):
            _put_on(made, values, timeline_frames(entry) if _moves(values) else ())
    finally:
        _state.busy = False


def take_up(entry, shot: Shot, of_file: dict[tuple[str, str], Value] | None) -> None:
    """Set the shot's layers as its file says, where another program has changed that since it was
    read or written here; then see that the nodes follow.
    """
    entry.frames = shot.frames
    follow(entry)  # first of all what was set at the node of an older version
    theirs = values_file.digest(of_file)
    if of_file is not None and theirs != entry.values_seen:
        for layer in entry.layers:
            for what in INPUTS:
                _set(entry, layer, what, of_file.get((layer.name, what), 1.0))
        follow(entry)
        entry.values_saved = values_file.digest(values_of(entry))
    entry.values_seen = theirs


def put_on_new(node: bpy.types.Node, frames: int, values: dict[tuple[str, str], Value]) -> None:
    """Put the values of a shot's file on a node that nobody has set anything at."""
    if not any(_is_own(node, socket) for _key, socket in _sockets(node)):
        _put_on(node, values, range(1, frames + 1))


def save(entry) -> None:
    """Write the values into the shot's folder where they have changed.

    ShotError where another program has changed the file as well, and where the disk refuses.
    """
    if entry.missing or not entry.frames:
        return
    follow(entry)
    values = values_of(entry)
    mine = values_file.digest(values)
    if mine == (entry.values_saved or values_file.ONES):
        return
    shot = entry.read()
    theirs = values_file.digest(values_file.read_values(shot))
    if theirs not in ("", mine, entry.values_seen):
        path = values_file.values_path(entry.path)
        raise ShotError(
            f"{path} was changed by another program, and visibility or relight here",
            "press Rebuild Nodes to take what the file says, or remove the file to keep yours",
        )
    values_file.write_values(entry.path, values)
    entry.values_saved = mine
    entry.values_seen = values_file.digest(values_file.read_values(shot))


def _modifier_nodes(entry) -> Iterator[bpy.types.Node]:
    """The nodes by which strip modifiers of the shot's scene composite it."""
    folder = str(entry.path)
    for tree in compat.modifier_trees(entry.id_data):
        for node in tree.nodes:
            group = getattr(node, "node_tree", None)
            if group is not None and group.get("nvd_folder") == folder:
                yield node


class _State:
    busy = False  # while values are brought from one place to another


_state = _State()


def _possible(what: str, value: float) -> float:
    return min(max(value, 0.0), MOST[what])


def _moves(values: dict[tuple[str, str], Value]) -> bool:
    return any(isinstance(value, list) for value in values.values())


def _curve(block: bpy.types.ID, path: str) -> bpy.types.FCurve | None:
    """The keyframes of a property; no drivers, which only Blender itself can follow."""
    for curve in compat.fcurves(block):
        if curve.data_path == path and curve.driver is None and not curve.mute:
            return curve if len(curve.keyframe_points) else None
    return None


def _sockets(node) -> Iterator[tuple[tuple[str, str], bpy.types.NodeSocket]]:
    """The inputs with values, by layer and kind."""
    for socket in node.inputs:
        layer, _, title = socket.name.rpartition(" ")
        what = next((what for what, called in INPUTS.items() if called == title), None)
        if layer and what:
            yield (layer, what), socket


def _shown(node, socket) -> str:
    """What an input is set to, as its node's mark has it."""
    curve = _curve(node.id_data, socket.path_from_id("default_value"))
    if curve is None:
        return repr(socket.default_value)
    return repr([tuple(point.co) for point in curve.keyframe_points])


def _is_own(node, socket) -> bool:
    """Whether somebody has set or keyed the input, and not this module."""
    return _shown(node, socket) != json.loads(node.get(MARK, "{}")).get(socket.name, "1.0")


def _put_on(node, values: dict[tuple[str, str], Value], frames: Sequence[int]) -> None:
    """Set the node's inputs; moving values as keys at `frames`, those of the node's own scene."""
    mark = {}
    for key, socket in _sockets(node):
        value = values.get(key, 1.0)
        if isinstance(value, list):
            pairs = dict(zip(frames, value, strict=True))  # sorted, and a frame once
            _key(node.id_data, socket, "default_value", sorted(pairs.items()))
        else:
            _unkey(node.id_data, socket.path_from_id("default_value"))
            if socket.default_value != value:
                socket.default_value = value
        mark[socket.name] = _shown(node, socket)
    text = json.dumps(mark)
    if node.get(MARK) != text:
        node[MARK] = text


def _take_over(entry, node) -> None:
    """What an artist has set or keyed at the node's inputs is set or keyed at the layers."""
    for (name, what), socket in _sockets(node):
        layer = entry.layers.get(name)
        if layer is None or socket.is_linked or not _is_own(node, socket):
            continue
        curve = _curve(node.id_data, socket.path_from_id("default_value"))
        if curve is None:
            _set(entry, layer, what, _possible(what, socket.default_value))
            continue
        frames = timeline_frames(entry)
        made = []
        for point in curve.keyframe_points:
            t = min(max(round(point.co[0]) - 1, 0), entry.frames - 1)
            by = frames[t] - (t + 1)  # as far as the clip lies from the node's own frames
            made.append((point.co[0] + by, _possible(what, point.co[1]), point, by))
        new = _key(layer.id_data, layer, what, [(x, y) for x, y, _, _ in made])
        for point, (_x, _y, old, by) in zip(new.keyframe_points, made, strict=True):
            point.interpolation = old.interpolation
            point.handle_left_type, point.handle_right_type = "FREE", "FREE"
            point.handle_left = old.handle_left[0] + by, old.handle_left[1]
            point.handle_right = old.handle_right[0] + by, old.handle_right[1]
            point.handle_left_type = old.handle_left_type
            point.handle_right_type = old.handle_right_type
        new.update()


def _set(entry, layer, what: str, value: Value) -> None:
    """Set a layer's value, or key it where it moves."""
    path = layer.path_from_id(what)
    if not isinstance(value, list):
        _unkey(layer.id_data, path)
        if getattr(layer, what) != value:
            setattr(layer, what, value)
        return
    keys, interpolation = values_file.as_keys(value)
    frames = timeline_frames(entry)
    curve = _key(layer.id_data, layer, what, [(frames[t], v) for t, v in keys])
    for point in curve.keyframe_points:
        point.interpolation = interpolation.upper()
    curve.update()


def _unkey(block: bpy.types.ID, path: str) -> None:
    for curve in [c for c in compat.fcurves(block) if c.data_path == path and c.driver is None]:
        compat.remove_fcurve(block, curve)


def _key(block, owner, name: str, pairs: Sequence[tuple[float, float]]) -> bpy.types.FCurve:
    """Let the property `name` of `owner` have these keys and no others, each held to the next."""
    path = owner.path_from_id(name)
    curve = _curve(block, path)
    points = [(float(x), float(y)) for x, y in pairs]
    if curve is not None and len(curve.keyframe_points) == len(points):
        there = [tuple(point.co) for point in curve.keyframe_points]
        if all(abs(a - b) < 1e-6 for one, two in zip(there, points, strict=True)
               for a, b in zip(one, two, strict=True)):  # fmt: skip
            return curve
    _unkey(block, path)
    owner.keyframe_insert(name, frame=points[0][0])
    curve = next(c for c in compat.fcurves(block) if c.data_path == path and c.driver is None)
    curve.keyframe_points.add(len(points) - 1)
    curve.keyframe_points.foreach_set("co", [number for pair in points for number in pair])
    for point in curve.keyframe_points:
        point.interpolation = "CONSTANT"
    curve.update()
    block.update_tag()
    return curve
