"""Maps: channels as documented, values back within the stated errors, order, threads, damage."""

import threading
import time

import numpy as np
import OpenImageIO as oiio
import pytest

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.frame_threads import MadeOnce, in_lanes, in_order
from nvd_core.shot import maps as maps_module
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.map_writer import MapWriter, write_maps
from nvd_core.shot.maps import (
    CHANNELS,
    FINE,
    MOST_TEXELS,
    LayerMaps,
    read_maps,
)


def noise_maps(height=31, width=45, seed=3, texture=(MOST_TEXELS, MOST_TEXELS)):
    random = np.random.default_rng(seed)
    u, v, alpha = random.random((3, height, width), np.float32)
    residual = (random.random((height, width, 3)) * 3).astype(np.float16)
    return LayerMaps(u, v, alpha, residual, texture)


def smooth_maps(texture, height=70, width=90):
    """Places all over the texture that change as slowly as real ones, and some hidden."""
    y, x = np.mgrid[0:height, 0:width]
    u = (0.5 + 0.5 * np.sin(x / 60 + np.sin(y / 40))).astype(np.float32)
    v = (0.5 + 0.5 * np.cos(y / 50 - x / 95)).astype(np.float32)
    alpha = np.clip((40 - np.hypot(x - 40, y - 30)) / 5, 0, 1).astype(np.float32)
    u[alpha == 0] = v[alpha == 0] = 0
    light = np.stack([np.sin(x / 30), np.cos(y / 20), np.sin((x + y) / 40)], -1)
    return LayerMaps(u, v, alpha, (1 + 0.3 * light).astype(np.float16), texture)


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


@pytest.mark.parametrize("maps", [noise_maps, smooth_maps])
@pytest.mark.parametrize("texels", [16, 1000, 2621, 2622, 5000, MOST_TEXELS])
def test_places_are_within_a_fiftieth_of_a_texel(tmp_path, texels, maps):
    layer = maps(texture=(texels, texels // 2))
    write_maps(tmp_path / "m.exr", ["background"], [layer])
    back = read_maps(tmp_path / "m.exr", ["background"]).layer(0)
    for read, written, size in ((back.u, layer.u, texels), (back.v, layer.v, texels // 2)):
        assert np.abs(np.float64(read) - written).max() * size <= 0.02
    assert np.abs(back.alpha - layer.alpha).max() < 8e-6
    np.testing.assert_array_equal(back.residual, layer.residual)


def test_tools_that_read_map_alone_are_stay_below_a_tenth_of_a_texel(tmp_path):
    layer = smooth_maps((MOST_TEXELS, 100))
    write_maps(tmp_path / "m.exr", ["a"], [layer])
    image = oiio.ImageInput.open(str(tmp_path / "m.exr"))
    places = [image.spec().channelnames.index(f"a.Map.{c}") for c in "XY"]
    u, v = (image.read_image(0, 0, at, at + 1, "float")[..., 0] for at in places)
    error = np.abs(np.float64(u) - layer.u).max() * MOST_TEXELS
    assert 0.02 < error < 0.1  # so that the other test shows what Fine is for
    assert np.abs(np.float64(v) - layer.v).max() * 100 < 0.02


@pytest.mark.parametrize("texels", [100, MOST_TEXELS])
def test_both_readers_are_equal(tmp_path, texels, monkeypatch):
    names = ["zebra", "background"]
    layers = [smooth_maps((texels, texels)), smooth_maps((texels, 16))]
    added = np.float16(np.random.default_rng(0).normal(size=(70, 90, 3)))
    write_maps(tmp_path / "m.exr", names, layers, added)
    # Another program's compression; and what other readers leave to OpenImageIO
    image = oiio.ImageBuf(str(tmp_path / "m.exr"))
    image.specmod()["compression"] = "zip"
    assert image.write(str(tmp_path / "zip.exr"))
    with monkeypatch.context() as patch:
        patch.setattr(maps_module, "_read_any", None)
        fast = [read_maps(tmp_path / "m.exr", wanted) for wanted in (names, names[1:])]
    with monkeypatch.context() as patch:
        patch.setattr(maps_module, "_unpacked", lambda *_: None)
        slow = [read_maps(tmp_path / "m.exr", wanted) for wanted in (names, names[1:])]
    slow.append(read_maps(tmp_path / "zip.exr", names))
    for one, other in zip([*fast, fast[0]], slow, strict=True):
        np.testing.assert_array_equal(one.uva, other.uva)
        np.testing.assert_array_equal(one.residual, other.residual)
        np.testing.assert_array_equal(one.added, other.added)
    np.testing.assert_array_equal(fast[0].added, added)


def test_0_and_1_are_exact(tmp_path):
    plane = np.tile(np.array([[0, 1]], np.float32), (8, 8))
    layer = LayerMaps(plane, 1 - plane, plane, np.ones((8, 16, 3), np.float32))
    write_maps(tmp_path / "m.exr", ["background"], [layer])
    back = read_maps(tmp_path / "m.exr", ["background"])
    np.testing.assert_array_equal(back.uva[0], np.stack([plane, 1 - plane, plane], -1))
    np.testing.assert_array_equal(back.residual, 1)


def test_channels_are_as_documented(tmp_path):
    names = ["dog", "background"]
    sizes = (2621, 2621), (100, 2622)
    write_maps(tmp_path / "m.exr", names, [noise_maps(texture=size) for size in sizes])
    image = oiio.ImageInput.open(str(tmp_path / "m.exr"))
    spec = image.spec()
    stored = dict(zip(spec.channelnames, map(str, spec.channelformats), strict=True))
    image.close()
    wanted = {f"{name}.{c}": kind for name in names for c, kind in CHANNELS.items()}
    assert stored == wanted | {f"background.{c}": "half" for c in FINE}
    assert spec["compression"] == "pxr24"
    assert (spec.width, spec.height) == (45, 31)


def test_synthetic_alphas_sum_to_1(tmp_path, synthetic):
    write_maps(tmp_path / "m.exr", synthetic.NAMES, synthetic.frame_maps(0, 48, 36))
    back = read_maps(tmp_path / "m.exr", synthetic.NAMES)
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


def test_flipped_bytes_never_hang_or_crash(tmp_path):
    write_maps(tmp_path / "m.exr", ["dog"], [smooth_maps((100, 100))])
    data = (tmp_path / "m.exr").read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for place in [*range(0, 700, 3), *random.integers(0, len(data), 200)]:
        broken = bytearray(data)
        broken[place] ^= 1 << int(random.integers(0, 8))
        (tmp_path / "m.exr").write_bytes(broken)
        try:
            read_maps(tmp_path / "m.exr", ["dog"])
        except NvdError:
            refused += 1
    assert refused > 200


def test_writer_and_reading_ahead_keep_the_order(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path, frames=9)
    for index, maps in zip([4, 2, 8, 0], iter_maps(shot, [4, 2, 8, 0]), strict=True):
        expected = read_maps(shot.map_path(index), shot.names)
        np.testing.assert_array_equal(maps.uva, expected.uva)


def test_maps_of_another_size_are_told(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path)
    write_maps(shot.map_path(1), synthetic.NAMES, [noise_maps()] * 3)
    with pytest.raises(NvdError, match="45 x 31, while the clip has 48 x 36"):
        list(iter_maps(shot, range(3)))


def test_a_failing_disk_is_told_by_the_writer(tmp_path):
    (tmp_path / "maps").write_text("a file where the folder should be")
    with (
        pytest.raises(NvdError, match="cannot write"),
        MapWriter(tmp_path / "maps", ["dog"]) as writer,
    ):
        writer.write(0, [noise_maps()])


def test_in_order_looks_only_a_little_ahead_and_stops_when_closed():
    begun = []
    lock = threading.Lock()

    def work(item):
        with lock:
            begun.append(item)
        return item * item

    results = in_order(work, range(1000), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    time.sleep(0.02)
    assert len(begun) <= 6
    results.close()
    assert len(begun) <= 6


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_lane_has_its_own_items_in_order(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    lanes = [[], [], []]

    def work(lane, item):
        time.sleep(0.001 * (item % 4 == 0))
        lanes[lane].append(item)
        return item

    assert list(in_lanes(work, range(20), 3)) == list(range(20))
    assert lanes == [list(range(first, 20, 3)) for first in range(3)]

    def fail(lane, item):
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        list(in_lanes(fail, range(5), 3))


def test_what_two_threads_ask_for_is_made_once():
    made, begun = [], threading.Barrier(2)

    def make(t):
        made.append(t)
        time.sleep(0.05)
        if t == 9:
            raise ValueError(t)
        return [t]

    once = MadeOnce(make, 2)

    def ask(_):
        begun.wait()
        return once(3)

    first, second = in_order(ask, range(2), 2)
    assert first is second and made == [3]
    for t in (4, 3, 5, 4, 3):  # the third is one too many
        assert once(t) == [t]
    assert made == [3, 4, 5, 3]
    with pytest.raises(ValueError, match="9"):
        once(9)


def test_in_order_passes_errors_on():
    def work(item):
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        list(in_order(work, range(5)))
