"""A layer whose edit was given another size is compared with what was learned at that size."""

from ..blender.undo import watch
from . import flat_nodes
from .patterns import kind_of, pattern
from .resample import learned_at


def follow_sizes(entry) -> None:
    """Where a layer's edit has changed its size, compare it with what was learned at that size."""
    for layer in entry.layers:
        if not layer.has_changed_size:
            continue
        watch(layer.edit)
        shown, was_base = layer.shown, layer.shown == layer.base
        layer.base = learned_at(layer.learned, layer.edit.size)
        if shown is not None:
            size = layer.edit.size
            layer.shown = layer.base if was_base else pattern(kind_of(shown), size)
        compare(entry, layer)


def compare(entry, layer) -> None:
    """Let the compositor's nodes compare what the layer shows with its base."""
    # A strip modifier composites by a copy of the shot's group
    flat_nodes.feed(entry, layer, anew=True)
