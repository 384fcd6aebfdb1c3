"""Maps: channels as documented, values back within the stated errors, order, threads, damage."""

import threading
import time

import numpy as np
import OpenImageIO as oiio
import pytest
from synthetic_shot import NAMES, make_synthetic_shot, synthetic_maps

from nvd_core.decomposition.maps import (
    CHANNELS,
    LayerMaps,
    MapWriter,
    in_threads,
    iter_maps,
    read_maps,
    write_maps,
)
from nvd_core.errors import NvdError


def noise_maps(height=31, width=45, seed=3):
    random = np.random.default_rng(seed)
    u, v, alpha = random.random((3, height, width), np.float32)
    return LayerMaps(u, v, alpha, (random.random((height, width, 3)) * 3).astype(np.float16))


# names whose order in the file differs from theirs here, and whose channels could be mixed up
@pytest.mark.parametrize(
    "names", [["background"], ["zebra", "background"], ["b-1", "B_2", "1", "a", "background"]]
)
def test_round_trip(tmp_path, names):
    layers = [noise_maps(seed=n) for n in range(len(names))]
    write_maps(tmp_path / "m.exr", names, layers)
    back = read_maps(tmp_path / "m.exr", names)
    assert back.uva.dtype == back.residual.dtype == np.float32
    for n, written in enumerate(layers):
        layer = back.layer(n)
        for name in ("u", "v", "alpha"):
            error = np.abs(getattr(layer, name) - getattr(written, name)).max()
            assert error < 8e-6, name
        np.testing.assert_array_equal(layer.residual, written.residual)


def test_0_and_1_are_exact(tmp_path):
    plane = np.tile(np.array([[0, 1]], np.float32), (8, 8))
    layer = LayerMaps(plane, 1 - plane, plane, np.ones((8, 16, 3), np.float32))
    write_maps(tmp_path / "m.exr", ["background"], [layer])
    back = read_maps(tmp_path / "m.exr", ["background"])
    np.testing.assert_array_equal(back.uva[0], np.stack([plane, 1 - plane, plane], -1))
    np.testing.assert_array_equal(back.residual, 1)


def test_channels_are_as_documented(tmp_path):
    names = ["dog", "background"]
    write_maps(tmp_path / "m.exr", names, [noise_maps(), noise_maps()])
    image = oiio.ImageInput.open(str(tmp_path / "m.exr"))
    spec = image.spec()
    stored = dict(zip(spec.channelnames, map(str, spec.channelformats), strict=True))
    image.close()
    assert stored == {f"{name}.{c}": kind for name in names for c, kind in CHANNELS.items()}
    assert spec["compression"] == "pxr24"
    assert (spec.width, spec.height) == (45, 31)


def test_synthetic_alphas_sum_to_1(tmp_path):
    write_maps(tmp_path / "m.exr", NAMES, synthetic_maps(0, 48, 36))
    back = read_maps(tmp_path / "m.exr", NAMES)
    np.testing.assert_allclose(back.uva[..., 2].sum(0), 1, atol=2e-3)
    hidden = back.uva[..., 2] == 0
    assert hidden.any()
    assert (back.uva[hidden] == 0).all()
    assert (back.residual[hidden] == 1).all()


def test_damage_is_told(tmp_path):
    path = tmp_path / "m.exr"
    with pytest.raises(NvdError, match="no maps"):
        read_maps(path, ["dog"])
    write_maps(path, ["dog"], [noise_maps()])
    with pytest.raises(NvdError, match=r"no channel cat\.Map\.X"):
        read_maps(path, ["dog", "cat"])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(NvdError, match="cannot read the maps"):
        read_maps(path, ["dog"])
    path.write_bytes(b"no image")
    with pytest.raises(NvdError, match="cannot read the maps"):
        read_maps(path, ["dog"])


def test_writer_and_reading_ahead_keep_the_order(tmp_path):
    shot = make_synthetic_shot(tmp_path, frames=9)
    for index, maps in zip([4, 2, 8, 0], iter_maps(shot, [4, 2, 8, 0]), strict=True):
        expected = read_maps(shot.map_path(index), shot.names)
        np.testing.assert_array_equal(maps.uva, expected.uva)


def test_maps_of_another_size_are_told(tmp_path):
    shot = make_synthetic_shot(tmp_path)
    write_maps(shot.map_path(1), NAMES, [noise_maps()] * 3)
    with pytest.raises(NvdError, match="45 x 31, while the clip has 48 x 36"):
        list(iter_maps(shot, range(3)))


def test_a_failing_disk_is_told_by_the_writer(tmp_path):
    (tmp_path / "maps").write_text("a file where the folder should be")
    with (
        pytest.raises(NvdError, match="cannot write"),
        MapWriter(tmp_path / "maps", ["dog"]) as writer,
    ):
        writer.write(0, [noise_maps()])


def test_in_threads_looks_only_a_little_ahead_and_stops_when_closed():
    begun = []
    lock = threading.Lock()

    def work(item):
        with lock:
            begun.append(item)
        return item * item

    results = in_threads(work, range(1000), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    time.sleep(0.02)
    assert len(begun) <= 6
    results.close()
    assert len(begun) <= 6


def test_in_threads_passes_errors_on():
    def work(item):
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        list(in_threads(work, range(5)))
