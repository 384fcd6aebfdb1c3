"""Maps from few questions to the networks against maps from all pixels."""

import json
import shutil
import tracemalloc

import numpy as np
import pytest
import torch

from nvd_core.baking import bake as bake_module
from nvd_core.baking.bake import MAKING_BYTES, Baking, bake, frames_at_once
from nvd_core.baking.map_errors import FILE, MapErrors
from nvd_core.fields.inference import frame_layers
from nvd_core.fields.node_layers import COARSE, FINE, Tolerances, frame_layers_by_nodes
from nvd_core.fields.plate_view import at_plate
from nvd_core.fields.saved_model import load_model, load_texture_boxes
from nvd_core.media.images import read_image
from nvd_core.pipeline import resume
from nvd_core.runtime import frame_threads
from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.malloc import KeptArrays
from nvd_core.runtime.progress import Progress
from nvd_core.settings import fast, update_settings
from nvd_core.shot.map_files import map_files
from nvd_core.shot.maps import FrameMaps, read_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.tile_index import TileIndex


def _densities(shot, folder):
    boxes = load_texture_boxes(folder)
    layers = shot.manifest.layers
    return [
        max(layer.texture_width / (high - low)[0], layer.texture_height / (high - low)[1])
        for layer, (low, high) in zip(layers, boxes, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["multiplicative", "additive"])
def test_nodes_give_what_every_pixel_gives(trained, kind):
    shot = trained(residual=kind)
    model = load_model(shot.folder)
    densities = _densities(shot, shot.folder)
    for t in (0, model.shape.frames - 1):
        exact, found = frame_layers(model, t), frame_layers_by_nodes(model, t, densities)
        np.testing.assert_allclose(found.alpha.sum(0), 1, atol=1e-5)
        assert np.quantile(np.abs(found.alpha - exact.alpha), 0.999) <= 2 * FINE.alpha
        if kind == "additive":
            assert np.abs(found.added - exact.added).max() <= 4 * FINE.light
        for n in range(model.layers):
            both = (found.alpha[n] > 0) & (exact.alpha[n] > 0)
            place = np.abs(found.uv[n] - exact.uv[n]).max(-1)[both] * densities[n]
            assert np.quantile(place, 0.999) <= 0.05
            light = np.abs(found.residual[n] - exact.residual[n]).max(-1)[both]
            assert np.quantile(light, 0.999) <= 2 * FINE.light
            assert not found.uv[n][found.alpha[n] == 0].any()


@pytest.mark.slow
def test_coarse_maps_are_within_what_they_say_and_ask_less(trained, monkeypatch):
    shot = trained()
    model = load_model(shot.folder)
    densities = _densities(shot, shot.folder)
    exact = frame_layers(model, 1)
    asked, ask = [0], model.mappings[1].forward

    def counted(xy, t):
        asked[0] += len(xy)
        return ask(xy, t)

    monkeypatch.setattr(model.mappings[1], "forward", counted)
    frame_layers_by_nodes(model, 1, densities, None, Tolerances(0.001, 1 / 255, 1 / 255))
    fine, asked[0] = asked[0], 0
    found = frame_layers_by_nodes(model, 1, densities, None, COARSE)
    assert asked[0] < fine
    assert np.quantile(np.abs(found.alpha - exact.alpha), 0.999) <= 2 * COARSE.alpha
    for n in range(model.layers):
        both = (found.alpha[n] > 0) & (exact.alpha[n] > 0)
        place = np.abs(found.uv[n] - exact.uv[n]).max(-1)[both] * densities[n]
        assert np.quantile(place, 0.999) <= 2 * COARSE.place


def test_the_folder_says_how_far_its_maps_are_off(trained):
    folder = trained().folder
    said = json.loads((folder / FILE).read_text("utf-8"))
    assert said["version"] == 1 and set(said["layers"]) == {"disc", "background"}
    for errors in said["layers"].values():
        assert 0 <= errors["place"]["p99.9"] <= 0.05
        assert errors["place"]["max"] >= errors["place"]["p99.9"]
        assert errors["alpha"]["p99.9"] <= 2 and errors["light"]["p99.9"] <= 2


def test_errors_are_found_where_maps_are_wrong(trained):
    shot = trained()
    model = load_model(shot.folder)
    densities = _densities(shot, shot.folder)
    layers = frame_layers(model, 1)
    stored = FrameMaps(np.concatenate([layers.uv, layers.alpha[..., None]], -1), layers.residual)
    stored.uva[1, ..., :2] += np.float32(0.5 / densities[1])
    errors = MapErrors(model, [(density, density) for density in densities])
    errors.take(errors.of_frame(1, layers, stored, [lambda places: places] * 2))
    found = [np.concatenate(of["place"]).max() for of in errors._found]
    assert found[0] < 1e-3 and abs(found[1] - 0.5) < 1e-2


def test_exact_is_exact_and_says_nothing(trained, tmp_path):
    shot = trained()
    model = load_model(shot.folder)
    shutil.copytree(shot.folder / "maps", tmp_path / "maps")
    shutil.copy(shot.folder / "checkpoint.json", tmp_path)
    settings = update_settings(fast(), {"bake": "exact"})
    layers = bake(Baking(model, tmp_path, settings, 8, None), Progress())
    assert not (tmp_path / FILE).exists()
    names = [layer.name for layer in layers]
    exact = frame_layers(model, 2)
    maps = read_maps(tmp_path / "maps/00002.exr", names)
    np.testing.assert_allclose(maps.uva[..., 2], exact.alpha, atol=2**-16)


def test_threads_bake_what_one_does(trained, tmp_path, monkeypatch, request):
    """Frames that are baked at once and textures that are fitted in lanes, to the last bit."""
    shot = trained()
    clip = np.stack([read_image(shot.frame_path(t))[..., :3] for t in range(shot.frames)])
    made, before = [], torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(before))
    for workers, threads in (1, 1), (2, 2), (2, 4):
        monkeypatch.setenv("OMP_NUM_THREADS", str(workers))
        torch.set_num_threads(threads)  # of which each of the workers has its share
        folder = tmp_path / f"{workers}-{threads}"
        folder.mkdir()
        shutil.copy(shot.folder / "checkpoint.json", folder)
        bake(Baking(load_model(shot.folder), folder, fast(), 8, clip), Progress())
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        made.append({path.relative_to(folder): path.read_bytes() for path in files})
        assert torch.get_num_threads() == threads
    assert made[0] == made[1] == made[2] and len(made[0]) > 5


@pytest.mark.parametrize(
    ("cores", "size", "at_once"),
    [
        (64, (2, 108, 192), 16),
        (64, (2, 1080, 1920), 8),
        (4, (2, 1080, 1920), 4),
        (64, (2, 2160, 3840), 2),
        (64, (4, 2160, 3840), 1),
    ],
)
def test_as_many_frames_at_once_as_memory_bears(cores, size, at_once, monkeypatch):
    monkeypatch.setattr(frame_threads, "cores", lambda: cores)
    assert frames_at_once(*size) == at_once


@pytest.mark.parametrize("how", ["nodes", "exact"])
def test_what_frames_take_in_memory(trained, tmp_path, how):
    """NumPy's arrays of one frame, which are most of it."""
    settings = update_settings(fast(), {"bake": how})
    baking = Baking(load_model(trained().folder), tmp_path, settings, 8, None)
    baking.shown = at_plate(baking.model, 540, 960)  # so that what is small does not count
    layout = baking.layout(Progress())
    baking.frame(layout, 0)  # compiles
    baking._kept = KeptArrays()
    tracemalloc.start()
    try:
        baking.frame(layout, 1)
        taken = tracemalloc.get_traced_memory()[1] / (baking.model.layers * 540 * 960)
    finally:
        tracemalloc.stop()
    assert taken < MAKING_BYTES and (how == "exact" or taken > MAKING_BYTES / 2)


@pytest.mark.parametrize("how", ["nodes", "exact"])
def test_a_stop_does_not_wait_for_the_frames_in_the_making(trained, tmp_path, how, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    settings, progress = update_settings(fast(), {"bake": how}), Progress()
    baking = Baking(load_model(trained().folder), tmp_path, settings, 8, None)
    layout = baking.layout(progress)
    whole = []
    monkeypatch.setattr(bake_module, "hide_garbage", lambda *_: whole.append(1))
    alphas = baking.model.alpha.forward

    def stopped(*given):
        progress.cancel()
        return alphas(*given)

    monkeypatch.setattr(baking.model.alpha, "forward", stopped)
    with pytest.raises(Cancelled):
        list(baking.frames(layout, range(4), check=progress.check))
    assert not whole


def test_a_folder_of_both_forms_and_one_that_was_killed_between_them(trained, tmp_path):
    shot = trained()
    names = {path.name for path in (shot.folder / "maps").iterdir()}
    assert {"00000.nodes", "00000.exr", "tiles.npz", FILE.partition("/")[2]} <= names
    index = TileIndex.load(shot.folder / "maps", shot.names, shot.frames)
    files = map_files(shot)
    for t in range(shot.frames):
        exr, found = read_maps(files.exr(t), shot.names), files.read(t)
        np.testing.assert_array_equal(exr.uva, found.uva)
        np.testing.assert_array_equal(exr.residual, found.residual)
        assert files.checksum(t) == index.checksums[t]
    copy = Shot.open(shutil.copytree(shot.folder, tmp_path / "copy.nvd"))
    before = copy.map_path(1).read_bytes()
    copy.map_path(1).unlink()
    (copy.folder / "work").mkdir()
    assert resume(copy.folder, Progress())["finished_before"]
    assert copy.map_path(1).read_bytes() == before and not (copy.folder / "work").exists()


def test_baking_needs_no_exr(trained, tmp_path):
    shot = trained()
    shutil.copy(shot.folder / "checkpoint.json", tmp_path)
    settings = update_settings(fast(), {"maps": "compact"})
    baking = Baking(load_model(shot.folder), tmp_path, settings, 8, None)
    assert not baking.wants_exr
    bake(baking, Progress())
    names = {path.name for path in (tmp_path / "maps").iterdir()}
    assert names == {"00000.nodes", "errors.json", "tiles.npz"}
    own = (tmp_path / "maps/00000.nodes").read_bytes()
    assert own == (shot.folder / "maps/00000.nodes").read_bytes()
