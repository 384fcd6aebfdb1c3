"""Compact maps: within their tolerances, the same bits to every reader, and damage told."""

import json
import shutil
import struct
import zlib

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.render import render_frames
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.reading import DAMAGE
from nvd_core.shot import map_chunks
from nvd_core.shot.map_chunks import FRAMES, MAGIC, new_header, read_block, write_chunk
from nvd_core.shot.map_files import iter_maps, map_files, read_frame_maps
from nvd_core.shot.map_forms import compact, make_exrs
from nvd_core.shot.map_writer import MapWriter, write_maps
from nvd_core.shot.maps import FrameMaps, LayerMaps, read_maps
from nvd_core.shot.node_bytes import from_bytes, to_bytes
from nvd_core.shot.node_decode import decode, pack, upsampled
from nvd_core.shot.node_fit import LIGHT, PLACE, fitted
from nvd_core.shot.node_maps import MOST_ERROR, full_maps, interpolated
from nvd_core.shot.values import read_values

HEIGHT, WIDTH = 71, 93  # no whole tiles
NAMES = ["dog", "background"]


def smooth(texture=(500, 400), light=0.3, t=0.0):
    """An object with a soft edge before a background, as slow as real maps are."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    front = np.clip((25 - np.hypot(x - 40 - t, y - 30)) / 4, 0, 1).astype(np.float32)
    layers = []
    for n, alpha in enumerate((front, 1 - front)):
        u = 0.5 + 0.4 * np.sin(x / 60 + n + np.sin(y / 40)) + t / 500
        v = 0.5 + 0.4 * np.cos(y / 50 - x / 95)
        u, v = (np.where(alpha > 0, value, 0).astype(np.float32) for value in (u, v))
        lit = 1 + light * np.stack([np.sin(x / 30), np.cos(y / 20), np.sin((x + y) / 40)], -1)
        lit[alpha == 0] = 1
        layers.append(LayerMaps(u, v, alpha, lit.astype(np.float32), texture))
    return layers


def noise(texture=(500, 400)):
    """Nothing that can be interpolated: every tile is corrected. Light is above 2 as well."""
    random = np.random.default_rng(3)
    alpha = random.random((HEIGHT, WIDTH), np.float32)
    made = []
    for share in (alpha, 1 - alpha):
        u, v = random.random((2, HEIGHT, WIDTH), np.float32)
        light = random.random((HEIGHT, WIDTH, 3), np.float32) * 5
        made.append(LayerMaps(u, v, share, light, texture))
    return made


def read_of(frame, wanted=(0, 1)):
    return FrameMaps(*decode(pack(frame), list(wanted)))


@pytest.mark.parametrize("maps", [smooth, noise])
@pytest.mark.parametrize("texture", [(16, 20), (500, 400), (8192, 3000)])
def test_values_are_within_the_tolerances(maps, texture):
    layers = maps(texture)
    back = read_of(fitted(layers))
    for n, layer in enumerate(layers):
        shown = (layer.alpha > 0) & (back.uva[n, ..., 2] > 0)
        for c, (value, texels) in enumerate(zip((layer.u, layer.v), texture, strict=True)):
            off = np.abs(back.uva[n, ..., c] - np.float64(value))[shown] * texels
            assert off.max() <= PLACE + MOST_ERROR
        assert np.abs(back.uva[n, ..., 2] - layer.alpha).max() <= 2**-12
        light = layer.residual[shown]
        exact = 2**-11 + np.maximum(light, 1) * 2**-11  # of whole numbers, and of halves
        assert (np.abs(back.residual[n][shown] - light) <= LIGHT + exact).all()
    np.testing.assert_array_equal(back.uva[..., 2].sum(0), 1)
    hidden = back.uva[..., 2] == 0
    assert (back.uva[hidden] == 0).all() and (back.residual[hidden] == 1).all()


@pytest.mark.parametrize("maps", [smooth, noise])
def test_the_decoder_and_its_twin_agree_to_the_last_bit(maps):
    frame = fitted(maps())
    for lattice in (frame.layers[0].place, frame.layers[1].light):
        np.testing.assert_array_equal(upsampled(lattice), interpolated(lattice.nodes, lattice.step))
    uva, light = decode(pack(frame), [0, 1])
    plain = full_maps(frame)
    assert plain[0].dtype == np.float64
    np.testing.assert_array_equal(uva, plain[0])
    np.testing.assert_array_equal(light, plain[1])
    alone = decode(pack(frame), [1])
    np.testing.assert_array_equal(alone[0][0], uva[1])
    np.testing.assert_array_equal(alone[1][0], light[1])


def test_a_coarse_lattice_is_chosen_where_it_serves_and_tiles_are_corrected_where_not():
    still, rough = fitted(smooth()), fitted(noise())
    tiles = -(-HEIGHT // 8) * -(-WIDTH // 8)
    assert still.layers[1].light.step == 8  # at the frame's edge alone it is off
    assert len(still.layers[1].light.corrections) < 0.6 * tiles
    assert len(rough.layers[1].place.corrections) == tiles
    assert len(to_bytes(still)) < len(to_bytes(rough)) / 10


@pytest.mark.parametrize("maps", [smooth, noise])
def test_bytes_bring_everything_back(maps):
    frame = fitted(maps(), np.full((HEIGHT, WIDTH, 3), 0.25, np.float32))
    data = to_bytes(frame)
    back = from_bytes(data, HEIGHT, WIDTH, 2, True)
    np.testing.assert_array_equal(back.added, frame.added)
    for one, other in zip(pack(frame).arrays, pack(back).arrays, strict=True):
        np.testing.assert_array_equal(one, other)
    assert to_bytes(back) == data


@pytest.mark.parametrize("maps", [smooth, noise])
@pytest.mark.parametrize("texture", [(500, 400), (8192, 3000)])
def test_an_exr_of_compact_maps_holds_the_same_bits(tmp_path, maps, texture):
    found = read_of(fitted(maps(texture)))
    layers = [found.layer(n) for n in (0, 1)]
    for layer in layers:
        layer.texture = texture
    write_maps(tmp_path / "m.exr", NAMES, layers)
    back = read_maps(tmp_path / "m.exr", NAMES)
    np.testing.assert_array_equal(back.uva, found.uva)
    np.testing.assert_array_equal(back.residual, found.residual)


def chunk(folder, frames=3):
    blocks = [to_bytes(fitted(smooth(t=float(t)))) for t in range(frames)]
    header = new_header(0, WIDTH, HEIGHT, [(name, (500, 400)) for name in NAMES], False)
    write_chunk(folder / "00000.nodes", header, blocks)
    return folder / "00000.nodes", blocks


def test_any_frame_of_a_file_is_read_alone(tmp_path):
    path, blocks = chunk(tmp_path)
    for t in (2, 0, 1):
        header, data = read_block(path, t)
        assert data == blocks[t] and header.blocks[t].checksum == zlib.crc32(data)
    with pytest.raises(NvdError, match="frame 3 is not in it"):
        read_block(path, 3)


def test_damaged_files_are_told(tmp_path):
    path, _ = chunk(tmp_path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        for t in range(3):
            try:
                header, data = read_block(path, t)
            except NvdError:
                continue
            assert data in whole and zlib.crc32(data) == header.blocks[t].checksum
    for length in (0, 5, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(NvdError, match="cannot read the maps"):
            read_block(path, 2)
    (size,) = struct.unpack_from("<I", whole, len(MAGIC))
    said = json.loads(whole[12 : 12 + size])
    text = json.dumps(said | {"version": map_chunks.VERSION + 1}).encode()
    path.write_bytes(MAGIC + struct.pack("<I", len(text)) + text)
    with pytest.raises(NvdError, match="newer program"):
        read_block(path, 0)


def test_bytes_that_pass_the_checksum_and_are_wrong_never_reach_the_decoder():
    data = to_bytes(fitted(smooth()))
    random, refused = np.random.default_rng(0), 0
    for _ in range(300):
        bad = bytearray(data)
        for at in random.integers(0, len(bad), random.integers(1, 4)):
            bad[at] = random.integers(256)
        cut = random.integers(0, len(bad)) if random.random() < 0.2 else len(bad)
        try:
            frame = from_bytes(bytes(bad[:cut]), HEIGHT, WIDTH, 2, False)
        except (*DAMAGE, NvdError):
            refused += 1
        else:
            uva, light = decode(pack(frame), [0, 1])
            assert np.isfinite(light).all() and uva.min() >= 0 and uva.max() <= 1
    assert refused > 150


@pytest.fixture
def shot(tmp_path, synthetic):
    made = synthetic.make_shot(tmp_path / "shot.nvd", frames=FRAMES + 2)
    edit = read_image(made.edit_path("background"))
    edit[10:40, 10:60, :3] = 200
    write_image(made.edit_path("background"), edit)
    return made


def test_a_folder_does_without_exr_and_gets_it_again(shot):
    before = list(iter_maps(shot, range(shot.frames)))
    said = compact(shot, Progress())
    assert said["written"] == shot.frames and said["megabytes"][1] < said["megabytes"][0]
    names = {path.name for path in (shot.folder / "maps").iterdir()}
    assert names == {"00000.nodes", "00016.nodes", "tiles.npz"}
    shot.check()
    made = list(iter_maps(shot, range(shot.frames)))
    for one, other in zip(before, made, strict=True):
        both = (one.uva[..., 2] > 0) & (other.uva[..., 2] > 0)
        for n, record in enumerate(shot.manifest.layers):
            off = np.abs(one.uva[n, ..., :2] - other.uva[n, ..., :2])[both[n]]
            off = off * np.array([record.texture_width, record.texture_height])
            assert off.max() <= PLACE + MOST_ERROR
    assert make_exrs(shot, Progress())["written"] == shot.frames
    for t in (0, shot.frames - 1):
        exr = read_maps(shot.map_path(t), shot.names)
        np.testing.assert_array_equal(exr.uva, made[t].uva)
        np.testing.assert_array_equal(exr.residual, made[t].residual)
    assert make_exrs(shot, Progress())["written"] == 0
    for path in (shot.folder / "maps").glob("*.nodes"):
        path.unlink()
    np.testing.assert_array_equal(read_frame_maps(shot, 3).uva, made[3].uva)


def test_frames_painted_on_compact_maps_equal_those_on_exr(shot):
    compact(shot, Progress())
    files = map_files(shot)
    assert not files.exr(0).exists() and files.has_compact(0)
    values = read_values(shot).with_value("background", "light", 0.5)
    values = values.with_value("background", "visibility", 0.7)
    for own in (None, values):
        fused = list(render_frames(shot, frames=(0, 2), values=own))
        make_exrs(shot, Progress())
        aside = shot.folder / "aside"
        aside.mkdir()
        for path in (shot.folder / "maps").glob("*.nodes"):
            shutil.move(path, aside)
        full = list(render_frames(shot, frames=(0, 2), values=own))
        for path in aside.iterdir():
            shutil.move(path, shot.folder / "maps")
        aside.rmdir()
        for path in (shot.folder / "maps").glob("*.exr"):
            path.unlink()
        for one, other in zip(fused, full, strict=True):
            np.testing.assert_array_equal(one, other)
            assert (one != read_image(shot.frame_path(0))).any()


def test_the_index_of_tiles_holds_for_compact_maps(shot):
    from nvd_core.shot.tile_index import TileIndex

    compact(shot, Progress())
    index = TileIndex.load(shot.folder / "maps", shot.names, shot.frames)
    files = map_files(shot)
    assert [files.checksum(t) for t in range(shot.frames)] == list(index.checksums)


def test_damage_keeps_the_exr_files(shot):
    shot.map_path(5).write_bytes(shot.map_path(5).read_bytes()[:2000])
    with pytest.raises(NvdError, match="cannot read the maps"):
        compact(shot, Progress())
    assert all(shot.map_path(t).exists() for t in range(shot.frames))


def test_the_writer_removes_compact_maps_that_are_no_longer_so(shot, synthetic):
    compact(shot, Progress())
    with MapWriter(shot.folder / "maps", shot.names) as writer:
        for t in range(shot.frames):
            writer.write(t, synthetic.frame_maps(0, 48, 36))
    assert not list((shot.folder / "maps").glob("*.nodes"))


def test_the_command(shot, capsys):
    assert main(["maps", str(shot.folder), "--compact", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["written"] == shot.frames and set(said["off"]) == set(shot.names)
    assert main(["maps", str(shot.folder), "--json"]) == 0
    assert all(shot.map_path(t).exists() for t in range(shot.frames))
