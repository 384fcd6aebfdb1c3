"""Compact maps in Blender: the extension's numpy and the graphics card against the engine's EXR."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import blender_addon
from blender_addon.paint import node_shader, preview, preview_shader
from blender_addon.paint.preview_cache import MapCache
from blender_addon.shot import map_file, node_maps, shots
from blender_addon.shot.exr import MapsError, read_channels
from blender_addon.shot.folder import read_shot

CHANNELS = ("Map.X", "Map.Y", "Map.Z", "Residual.R", "Residual.G", "Residual.B")

STRONG = """
import sys, numpy as np
from pathlib import Path
from nvd_core.shot.map_chunks import new_header, write_chunk
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.node_bytes import to_bytes
from nvd_core.shot.node_decode import decode, pack
from nvd_core.shot.node_fit import fitted
y, x = np.mgrid[:71, :93].astype(np.float32)
random = np.random.default_rng(3)
fronts = [np.clip((r - np.hypot(x - 40, y - 30)) / 4, 0, 1) for r in (14, 25)]
alphas = [fronts[0], fronts[1] * (1 - fronts[0])]
alphas.append(1 - alphas[0] - alphas[1])
layers = []
for n, alpha in enumerate(alphas):
    u, v = 0.5 + 0.4 * np.sin(x / 60 + n), random.random(x.shape)
    light = 1 + 0.3 * np.sin(x / 30)[..., None] + 60000 * random.random((71, 93, 3)) * (n == 1)
    u, v, alpha, light = (np.float32(value) for value in (u, v, alpha, light))
    layers.append(LayerMaps(u, v, alpha, light, (4000, 300)))
frame = fitted(layers)
names = ["dog", "cat", "background"]
header = new_header(0, 93, 71, [(name, (4000, 300)) for name in names], False)
write_chunk(Path(sys.argv[1]), header, [to_bytes(frame)])
uva, light = decode(pack(frame), [0, 1, 2])
np.save(sys.argv[1] + ".npy", np.concatenate([uva, light], -1))
"""


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.fixture(scope="module")
def both(made, tmp_path_factory, engine):
    """A folder with maps in both forms, of the same bits."""
    folder = tmp_path_factory.mktemp("both")
    shutil.copytree(made / "shot.nvd", folder / "shot.nvd")
    for options in (["--compact"], []):
        command = [engine.PYTHON, "-m", "nvd_core", "maps", str(folder / "shot.nvd"), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=engine.ROOT)
    return folder


@pytest.fixture(scope="module")
def strong(tmp_path_factory, engine):
    """A file whose middle layer has light of any strength, and what the engine makes of it."""
    path = tmp_path_factory.mktemp("strong") / "00000.nodes"
    engine.run("-c", STRONG, path)
    return path, np.load(f"{path}.npy")


def of_exr(shot, t, layer):
    fine = tuple(f"{layer}.Fine.{c}" for c in "XY")
    names = [f"{layer}.{channel}" for channel in CHANNELS]
    planes = read_channels(shot.map(t), [*names, *fine], optional=fine)
    planes[:2] += planes[6:]
    return planes[:6].transpose(1, 2, 0)


def read(texture, size):
    buffer = texture.read()
    buffer.dimensions = size[0] * size[1] * 4
    return np.array(buffer, np.float32).reshape(size[1], size[0], 4)[::-1, :, :3]


def evaluated(nodes):
    made = node_shader.Nodes(nodes).evaluate()
    return np.concatenate([read(made.place, nodes.size), read(made.light, nodes.size)], -1)


def test_numpy_equals_the_exr(both):
    shot = read_shot(both / "shot.nvd")
    for t in range(shot.frames):
        for layer in shot.layers:
            path, size = map_file.chunk(shot, t), (shot.width, shot.height)
            nodes = node_maps.read_layer(path, t, layer.name, size)
            np.testing.assert_array_equal(node_maps.full_maps(nodes), of_exr(shot, t, layer.name))


@pytest.mark.parametrize("index", range(3))
def test_numpy_equals_the_engine_at_strong_light_and_edges(strong, index):
    path, wanted = strong
    nodes = node_maps.read_layer(path, 0, ["dog", "cat", "background"][index], (93, 71))
    np.testing.assert_array_equal(node_maps.full_maps(nodes), wanted[index])
    assert node_shader.fits(nodes) == (index != 1)


@pytest.mark.gpu
def test_the_graphics_card_equals_numpy(gpu_ready, both, strong):
    shot = read_shot(both / "shot.nvd")
    for layer in shot.layers:
        nodes = node_maps.read_layer(map_file.chunk(shot, 1), 1, layer.name, (160, 90))
        np.testing.assert_array_equal(evaluated(nodes), node_maps.full_maps(nodes))
    for name in ("dog", "background"):
        nodes = node_maps.read_layer(strong[0], 0, name, (93, 71))
        np.testing.assert_array_equal(evaluated(nodes), node_maps.full_maps(nodes))


@pytest.mark.gpu
@pytest.mark.parametrize("by_nodes", [False, True])
@pytest.mark.parametrize("blurs", [False, True])
def test_the_preview_of_both_forms_is_the_same(gpu_ready, both, tmp_path, by_nodes, blurs):
    plain = shutil.copytree(both, tmp_path / "plain")
    for path in (plain / "shot.nvd/maps").glob("*.nodes"):
        path.unlink()
    pictures = []
    for folder in (plain, both):
        entry = shots.add_shot(folder / "shot.nvd")
        entry.motion_blur = blurs
        live = preview.Preview(entry)
        live.by_nodes = by_nodes
        live.prepare(entry, 2)
        pictures.append(live.render(entry).read())
        kept = live.cache.get(2, "toy")
        assert isinstance(kept, node_maps.LayerNodes) == (by_nodes and folder is both)
        live.close()
    np.testing.assert_array_equal(*pictures)


@pytest.mark.gpu
def test_a_program_evaluates_on_the_processor(gpu_ready, both):
    entry = shots.add_shot(both / "shot.nvd")
    live = preview.Preview(entry)
    live.prepare(entry, 0)
    live.render(entry)
    assert live.by_nodes is not preview_shader.is_software()
    live.close()


def test_nodes_are_kept_small_and_evaluated_when_asked(both):
    shot = read_shot(both / "shot.nvd")
    cache = MapCache(shot, full=False)
    nodes = cache.get(0, "toy")
    assert isinstance(nodes, node_maps.LayerNodes) and 0 < cache.used == nodes.nbytes
    cache.full = True
    np.testing.assert_array_equal(cache.get(0, "toy"), of_exr(shot, 0, "toy"))
    cache.close()


def test_pinned_frames_are_read_from_their_exr(both, tmp_path):
    folder = Path(shutil.copytree(both / "shot.nvd", tmp_path / "shot.nvd"))
    shot = read_shot(folder)
    assert map_file.chunk(shot, 1) is not None
    (folder / "maps/unpinned").mkdir()
    shutil.copy(folder / "maps/00000.exr", folder / "maps/unpinned/00001.exr")
    assert map_file.chunk(shot, 1) is None
    assert map_file.chunk(shot, 0) is not None


@pytest.mark.parametrize("cut", [0, 6, 30, 700, 9000])
def test_a_file_that_is_cut_off_is_told(strong, tmp_path, cut):
    path = tmp_path / "cut.nodes"
    path.write_bytes(strong[0].read_bytes()[:cut])
    with pytest.raises(MapsError, match=r"cut.nodes"):
        node_maps.read_layer(path, 0, "background", (93, 71))


def test_flipped_bytes_are_told(strong, tmp_path):
    data = strong[0].read_bytes()
    path, random = tmp_path / "flipped.nodes", np.random.default_rng(0)
    for place in random.integers(0, len(data), 60):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(random.integers(8))
        path.write_bytes(flipped)
        try:
            nodes = node_maps.read_layer(path, 0, "background", (93, 71))
        except MapsError:
            continue
        wanted = strong[1][2]  # a byte of the header that nobody reads
        np.testing.assert_array_equal(node_maps.full_maps(nodes), wanted)


def test_a_damaged_frame_without_its_checksum_is_told_or_whole(strong, tmp_path, monkeypatch):
    """What the streams claim is checked as well: a stranger can make checksums too."""
    block, random = map_file.read_block(strong[0], 0, (93, 71)), np.random.default_rng(1)
    for place in random.integers(0, len(block.data), 60):
        data = bytearray(block.data)
        data[place] ^= 1 << int(random.integers(8))
        broken = map_file.Block(bytes(data), block.layers)
        monkeypatch.setattr(node_maps, "read_block", lambda *_, broken=broken: broken)
        try:
            nodes = node_maps.read_layer(tmp_path / "any.nodes", 0, "background", (93, 71))
        except MapsError:
            continue
        assert node_maps.full_maps(nodes).shape == (71, 93, 6)


def test_maps_of_another_clip_or_layer_are_told(strong):
    with pytest.raises(MapsError, match="not the size"):
        node_maps.read_layer(strong[0], 0, "dog", (92, 71))
    with pytest.raises(MapsError, match="no layer cow"):
        node_maps.read_layer(strong[0], 0, "cow", (93, 71))
    with pytest.raises(MapsError, match="not in it"):
        node_maps.read_layer(strong[0], 3, "dog", (93, 71))
