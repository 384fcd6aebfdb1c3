"""A frame as the live preview shows it."""

from blender_addon.paint import preview, preview_shader
from blender_addon.shot import shots


def start() -> None:
    """Start Blender's drawing in a process without a window."""
    preview_shader.start_in_background()


def picture(folder, t, mode="delta", change=None):
    """Frame `t` of the folder, after `change`(entry): floats [H, W, 4]."""
    entry = shots.add_shot(folder / "shot.nvd")
    if change:
        change(entry)
    live = preview.Preview(entry, mode)
    live.prepare(entry, t)
    pixels = live.render(entry).read()
    live.close()
    return pixels
