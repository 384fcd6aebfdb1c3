"""Where the live preview stands in an Image Editor, and which shot it shows."""

import shutil
import types

import bpy
import pytest

from blender_addon.paint import inset, preview
from blender_addon.shot import shots

pytestmark = pytest.mark.usefixtures("extension")


def place(**changes):
    settings = bpy.context.scene.nvd_inset
    for name, value in changes.items():
        setattr(settings, name, value)
    return inset.rectangle(settings, (40, 30, 840, 630), 800, 200, 100)


@pytest.mark.once
def test_it_stands_in_the_chosen_corner_within_what_is_free():
    gap = inset.GAP
    wide = {"LEFT": 40 + gap, "RIGHT": 840 - gap - 400}
    high = {"BOTTOM": 30 + gap, "TOP": 630 - gap - 200}
    for corner, _, _ in inset.CORNERS:
        across, down = corner.split("_")
        assert place(corner=corner, size=0.5) == (wide[across], high[down], 400, 200)


@pytest.mark.once
def test_it_is_sized_and_never_larger_than_the_room():
    assert place(size=0.25)[2:] == (200, 100)
    settings = bpy.context.scene.nvd_inset
    settings.size = 0.95
    left, bottom, width, height = inset.rectangle(settings, (0, 0, 400, 120), 400, 200, 100)
    assert height == 120 - 2 * inset.GAP and width == 2 * height
    assert left >= 0 and bottom >= 0
    assert inset.rectangle(settings, (0, 0, 10, 120), 400, 200, 100) is None


@pytest.mark.once
def test_it_is_put_away():
    assert place(shown=False) is None


@pytest.mark.once
def test_what_covers_the_region_is_left_out():
    def region(kind, alignment, x, y, width, height):
        return types.SimpleNamespace(
            type=kind, alignment=alignment, x=x, y=y, width=width, height=height
        )

    main = region("WINDOW", "NONE", 100, 50, 800, 600)
    around = [
        region("UI", "RIGHT", 700, 50, 200, 600),
        region("TOOLS", "LEFT", 100, 50, 60, 600),
        region("HEADER", "TOP", 100, 620, 800, 30),
        region("ASSET_SHELF", "BOTTOM", 100, 50, 800, 90),
        region("HUD", "LEFT", 100, 50, 1, 1),
    ]
    area = types.SimpleNamespace(regions=[main, *around])
    assert inset.free_part(area, main) == (60, 90, 600, 570)


def test_the_preview_follows_the_chosen_shot(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "other.nvd")
    scene = bpy.context.scene
    first, _ = shots.add_shot(folder), shots.add_shot(tmp_path / "other.nvd")
    scene.nvd_shot = 0
    preview.start(first)
    assert preview.running().shot.folder == folder
    scene.nvd_shot = 1
    assert preview.running().shot.folder == tmp_path / "other.nvd"
    scene.nvd_shot = 0
    assert preview.running().shot.folder == folder
    preview.stop()
    scene.nvd_shot = 1
    assert preview.running() is None
