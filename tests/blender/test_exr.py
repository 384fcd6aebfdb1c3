"""The extension's own reader of maps, against what the engine's library reads back."""

import time

import numpy as np
import pytest

from blender_addon.shot.exr import ExrError, read_channels

pytestmark = pytest.mark.once

CHANNELS = ("Map.X", "Map.Y", "Map.Z", "Residual.R", "Residual.G", "Residual.B")

WRITE = """
import sys, numpy as np, OpenImageIO as oiio
random = np.random.default_rng(1)
pixels = random.normal(0, 3, (37, 53, 3)).astype(np.float32)
pixels[4:20] = 0.25
spec = oiio.ImageSpec(53, 37, 3, "float")
spec.channelnames, spec.channelformats = ("m.p", "m.q", "m.s"), ("float", "half", "float")
spec["compression"] = sys.argv[1]
out = oiio.ImageOutput.create(sys.argv[2])
out.open(sys.argv[2], spec), out.write_image(pixels), out.close()
back = oiio.ImageInput.open(sys.argv[2]).read_image("float")
np.save(sys.argv[2] + ".npy", back)
"""


def test_maps_of_the_folder(made, reference):
    truth = reference.Truth(made)
    for t in range(3):
        for index, layer in enumerate(truth.layers):
            names = [f"{layer}.{channel}" for channel in CHANNELS]
            fine = (f"{layer}.Fine.X", f"{layer}.Fine.Y")
            path = made / f"shot.nvd/maps/{t:05d}.exr"
            got = read_channels(path, [*names, *fine], optional=fine)
            assert got[6:].any() == (layer == "background")
            got[:2] += got[6:]
            assert np.array_equal(got[:6], truth.arrays["maps"][t, index].transpose(2, 0, 1))


@pytest.mark.parametrize("compression", ["pxr24", "zip", "zips", "none"])
def test_compressions(tmp_path, compression, engine):
    path = tmp_path / "made.exr"
    engine.run("-c", WRITE, compression, path)
    wanted = np.load(f"{path}.npy").transpose(2, 0, 1)
    assert np.array_equal(read_channels(path, ["m.p", "m.q", "m.s"]), wanted)
    assert np.array_equal(read_channels(path, ["m.s"]), wanted[2:])


@pytest.mark.parametrize("cut", [0, 4, 60, 500, 5000])
def test_damaged_files_are_errors(made, tmp_path, cut):
    path = tmp_path / "cut.exr"
    path.write_bytes((made / "shot.nvd/maps/00000.exr").read_bytes()[:cut])
    with pytest.raises(ExrError, match=r"cut.exr"):
        read_channels(path, ["toy.Map.X"])


def test_flipped_bytes_never_hang_or_crash(made, tmp_path):
    data = bytearray((made / "shot.nvd/maps/00000.exr").read_bytes())
    random = np.random.default_rng(0)
    began = time.monotonic()
    for _ in range(60):
        place = int(random.integers(0, min(len(data), 4000)))
        broken = data.copy()
        broken[place] ^= 1 << int(random.integers(0, 8))
        (tmp_path / "broken.exr").write_bytes(broken)
        try:
            read_channels(tmp_path / "broken.exr", ["toy.Map.X"])
        except ExrError:
            continue
    assert time.monotonic() - began < 60


def test_missing_file_and_channel(made):
    with pytest.raises(ExrError, match="none"):
        read_channels(made / "none.exr", ["x"])
    with pytest.raises(ExrError, match="no channel cup"):
        read_channels(made / "shot.nvd/maps/00000.exr", ["cup.Map.X"])
