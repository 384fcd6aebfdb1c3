"""The script by which the demo renders edits in Blender's compositor."""

import shutil

import bpy
import numpy as np
import pytest
import render_in_blender

from blender_addon.blender.pixels import read_pixels


@pytest.mark.once
def test_edits_beside_the_folder_are_rendered(folder, tmp_path):
    edits, plain = tmp_path / "edits", tmp_path / "none"
    edits.mkdir()
    plain.mkdir()
    shutil.copy(folder / "textures" / "leaf-2.png", edits / "toy.png")  # another picture
    for given, out in ((edits, "painted"), (plain, "learned")):
        render_in_blender.main(folder, given, tmp_path / out)
    names = sorted(path.name for path in (tmp_path / "painted").iterdir())
    assert names == ["00000.png", "00001.png", "00002.png"]
    first, other = (
        read_pixels(bpy.data.images.load(str(tmp_path / out / names[1])))
        for out in ("painted", "learned")
    )
    assert np.abs(first - other).max() > 0.05
