"""Plates that the preview reads without Blender: the same bytes; others are Blender's to read."""

import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.paint import preview
from blender_addon.paint.preview_cache import PLATE
from blender_addon.shot import shots
from blender_addon.shot.plate_file import packed_plate, read_plain

WRITE = """
import sys, numpy as np, OpenImageIO as oiio
random = np.random.default_rng(2)
pixels = random.integers(0, 256, (37, 53, 3)).astype(np.uint8)
spec = oiio.ImageSpec(53, 37, 3, "uint8")
spec.attribute("png:filter", int(sys.argv[1]))
out = oiio.ImageOutput.create(sys.argv[2])
out.open(sys.argv[2], spec), out.write_image(pixels), out.close()
np.save(sys.argv[2] + ".npy", pixels)
"""
FILTERS = {"none": 8, "left": 16, "above": 32}


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.mark.parametrize("name", FILTERS)
def test_plain_files_have_their_bytes(name, tmp_path, engine):
    path = tmp_path / "made.png"
    engine.run("-c", WRITE, str(FILTERS[name]), path)
    wanted = np.load(f"{path}.npy").astype(int)
    np.testing.assert_array_equal(read_plain(path, (53, 37)), wanted)
    whole = wanted[..., 0] + 256 * wanted[..., 1] + 65536 * wanted[..., 2]
    np.testing.assert_array_equal(packed_plate(path, (53, 37)), whole)
    assert read_plain(path, (37, 53)) is None


def test_others_are_left_to_blender(tmp_path, engine):
    path = tmp_path / "made.png"
    engine.run("-c", WRITE, "128", path)  # Paeth's
    assert read_plain(path, (53, 37)) is None and not packed_plate(path, (53, 37)).size
    engine.run("-c", WRITE, "16", path)
    data = path.read_bytes()
    for place in range(0, len(data), 211):
        damaged = bytearray(data)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        assert read_plain(path, (53, 37)) is None
        path.write_bytes(data[:place])
        assert read_plain(path, (53, 37)) is None
    assert read_plain(tmp_path / "none.png", (53, 37)) is None


@pytest.mark.gpu
def test_the_picture_is_blenders_own(gpu_ready, made, tmp_path, engine):
    """The same frames with the filter that the engine writes, and with one that Blender reads."""
    again = """
import sys, OpenImageIO as oiio
for path in sys.argv[2:]:
    pixels = oiio.ImageInput.open(path).read_image("uint8")
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 3, "uint8")
    spec.attribute("png:filter", int(sys.argv[1]))
    out = oiio.ImageOutput.create(path)
    out.open(path, spec), out.write_image(pixels), out.close()
"""
    pictures = []
    for code in ("16", "128"):
        folder = Path(shutil.copytree(made / "shot.nvd", tmp_path / code / "shot.nvd"))
        engine.run("-c", again, code, *sorted((folder / "frames").glob("*.png")))
        entry = shots.add_shot(folder)
        live = preview.Preview(entry)
        shown = []
        for t in (0, 2, 1):
            live.prepare(entry, t)
            shown.append(live.render(entry).read())
        assert bool(live.cache.get(1, PLATE).size) == (code == "16")
        assert (live.plate.image_name in bpy.data.images) == (code == "128")
        pictures.append(shown)
        live.close()
    np.testing.assert_array_equal(*pictures)
