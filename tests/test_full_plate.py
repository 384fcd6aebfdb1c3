"""A clip that is looked at smaller than it is delivered: frames, maps and edges are the plate's."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from nvd_core.baking.bake import Baking, bake
from nvd_core.baking.plate_edges import follow_plate
from nvd_core.begun import check_same
from nvd_core.cli.main import main
from nvd_core.editing.camera import render_camera
from nvd_core.editing.camera_path import Key
from nvd_core.editing.former_textures import read_former
from nvd_core.editing.plate import read_stored_frame
from nvd_core.editing.render import render, render_frames
from nvd_core.editing.texture_size import resize_textures, take_back
from nvd_core.evaluation.report import evaluate
from nvd_core.fields.inference import frame_layers
from nvd_core.fields.node_layers import frame_layers_by_nodes
from nvd_core.fields.plate_view import at_plate
from nvd_core.fields.saved_model import load_model
from nvd_core.job import Job
from nvd_core.media.clip import open_clip
from nvd_core.media.clip_import import import_clip
from nvd_core.media.images import read_image, write_image
from nvd_core.pipeline import decompose, resume
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Cancelled, Progress
from nvd_core.settings import fast, update_settings
from nvd_core.shot.manifest import VERSION, read_manifest
from nvd_core.shot.maps import read_maps
from nvd_core.shot.shot import Shot
from nvd_core.work import FRAMES, open_array, work_folder

pytestmark = pytest.mark.slow

FRAMES_OF_CLIP, HEIGHT, WIDTH, SMALL = 6, 96, 160, 48
SETTINGS = {
    "iterations": 250,
    "points": 400,
    "texture_grid": {"levels": 6, "log2_table": 12},
    "residual_grid": {"levels": 4, "log2_table": 12},
    "alpha_grid": {"levels": 4, "log2_table": 12, "finest": 48},
}


def noise(seed, height, width, grain):
    random = np.random.default_rng(seed).random((height, width, 3), np.float32)
    soft = cv2.GaussianBlur(random, (0, 0), grain)
    return (soft - soft.min()) / (soft.max() - soft.min())


def true_alpha(t):
    """What the star covers in frame t of the plate, float32 [HEIGHT, WIDTH]: its edge is sharp."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    x, y = 48 + 6.0 * t, 46 + 1.0 * t
    angle = np.arctan2(ys - y, xs - x)
    beyond = np.hypot(xs - x, ys - y) - 26 * (1 + 0.16 * np.cos(5 * angle))
    return (0.5 - beyond).clip(0, 1)


def plate(t):
    """Frame t, uint8 [HEIGHT, WIDTH, 3]."""
    wall, cloth = noise(1, HEIGHT, WIDTH + 2 * FRAMES_OF_CLIP, 5.0), noise(2, 100, 100, 4.0)
    wall, cloth = wall * [0.5, 1, 1], cloth * [0.4, 1, 1] + [0.6, 0, 0]
    ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    paint = cv2.remap(
        cloth, xs - 48 - 6.0 * t + 50, ys - 46 - t + 50, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT
    )
    alpha = true_alpha(t)[..., None]
    frame = alpha * paint + (1 - alpha) * wall[:, 2 * t : 2 * t + WIDTH]
    return (frame.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def write_clip(folder):
    for t in range(FRAMES_OF_CLIP):
        write_image(folder / "frames" / f"{t:04d}.png", plate(t))
        mask = (true_alpha(t) * 255 + 0.5).astype(np.uint8)
        write_image(folder / "masks" / f"{t:04d}.png", mask[..., None])
    return folder


def job_of(clip, **changes):
    masks = [["star", str(clip / "masks")]]
    return Job(str(clip / "frames"), masks=masks, height=SMALL, device="cpu", **changes)


def settings(**changes):
    return update_settings(fast(), SETTINGS | changes)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def shot(clip, tmp_path_factory):
    """The clip, looked at with half its lines. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("full") / "shot.nvd"
    decompose(folder, job_of(clip), settings(), Progress())
    return Shot.open(folder)


def test_frames_and_maps_are_of_the_plates_size(shot):
    record = shot.manifest.clip
    assert (record.width, record.height) == (WIDTH, HEIGHT)
    assert (record.analysis.width, record.analysis.height) == (WIDTH // 2, SMALL)
    for t in range(FRAMES_OF_CLIP):
        assert np.array_equal(read_stored_frame(shot, t), plate(t))
        maps = read_maps(shot.map_path(t), shot.names, (HEIGHT, WIDTH))
        assert np.allclose(maps.uva[..., 2].sum(0), 1, atol=1e-3)
    assert read_image(shot.mask_path("star", 0)).shape[:2] == (HEIGHT, WIDTH)
    assert load_model(shot.folder).shape.height == SMALL


def test_unedited_frames_render_bit_for_bit(shot, tmp_path):
    render(shot, str(tmp_path / "%05d.png"))
    for t in range(FRAMES_OF_CLIP):
        assert np.array_equal(read_image(tmp_path / f"{t:05d}.png"), plate(t))


def test_paint_reaches_its_place_and_no_other(shot, tmp_path):
    edit = read_image(shot.texture_path("star")).copy()
    edit[..., :3] = (0, 255, 0)
    write_image(tmp_path / "star.png", edit)
    for t, frame in enumerate(render_frames(shot, {"star": tmp_path / "star.png"})):
        green = (frame[..., 1].astype(int) - plate(t)[..., 1]) > 40
        assert not green[true_alpha(t) == 0].mean() > 0.01
        changed = (frame != plate(t)).any(2)
        assert changed[true_alpha(t) == 1].mean() > 0.97


def test_the_edge_follows_the_plate_better_than_a_ramp(shot):
    """The same networks' alpha at the analysis size, brought up bilinearly, is farther off."""
    model = load_model(shot.folder)
    ours, ramps = [], []
    for t in range(FRAMES_OF_CLIP):
        true = true_alpha(t)
        ring = cv2.dilate(((true > 0) & (true < 1)).astype(np.uint8), np.ones((9, 9))) > 0
        small = frame_layers(model, t, light=False).alpha[0]
        ramp = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
        alpha = read_maps(shot.map_path(t), shot.names).uva[0, ..., 2]
        ours.append(np.abs(alpha - true)[ring].mean())
        ramps.append(np.abs(ramp - true)[ring].mean())
    assert np.mean(ours) < 0.8 * np.mean(ramps)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("blur", [0.0, 0.8])
@pytest.mark.parametrize(("apart", "most"), [(0.6, 0.7), (0.1, 1.01)])
def test_a_known_alpha_is_found_again(scale, blur, apart, most):
    """The better, the more the colours of both sides are `apart`; it is never worse."""
    height, width = 240, 320
    wall, cloth = (noise(seed, height, width, 4.0) for seed in (3, 4))
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    angle = np.arctan2(ys - 120, xs - 160)
    true = (0.5 - np.hypot(xs - 160, ys - 120) + 70 * (1 + 0.15 * np.cos(7 * angle))).clip(0, 1)
    front, behind = cloth * [1 - apart, 1, 1] + [apart, 0, 0], wall * [1 - apart, 1, 1]
    frame = true[..., None] * front + (1 - true[..., None]) * behind
    small = cv2.resize(true, (width // scale, height // scale), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), blur) if blur else small
    ramp = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    given = np.stack([ramp * (xs < 160), ramp * (xs >= 160), 1 - ramp])
    kept = given.copy()
    found = follow_plate(given, (frame * 255).astype(np.uint8), float(scale))
    assert np.array_equal(given, kept)
    assert np.allclose(found.sum(0), 1, atol=1e-5) and found.min() >= 0
    ring = cv2.dilate(((ramp > 0) & (ramp < 1)).astype(np.uint8), np.ones((3, 3))) > 0
    away = cv2.erode((~ring).astype(np.uint8), np.ones((8 * scale + 1,) * 2)) > 0
    assert away.any() and np.array_equal(found[:, away], given[:, away])
    better, before = (np.abs(a - true)[ring].mean() for a in (found[:2].sum(0), ramp))
    assert better < most * before


def test_colours_that_tell_nothing_leave_the_ramp():
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(48, 0)
    given = np.stack([ramp, 1 - ramp])
    flat = np.full((48, 64, 3), 90, np.uint8)
    assert np.abs(follow_plate(given, flat, 4.0) - given).max() < 0.02
    assert follow_plate(given, flat, 1.0) is given


def test_the_tiles_do_not_show(monkeypatch):
    frame = (noise(5, 150, 210, 3.0) * 255).astype(np.uint8)
    ramp = cv2.GaussianBlur((frame[..., 0] > 128).astype(np.float32), (0, 0), 3)
    given = np.stack([ramp, 1 - ramp])
    whole = follow_plate(given, frame, 2.0)
    monkeypatch.setattr("nvd_core.baking.plate_edges.TILE", 40)
    assert np.abs(follow_plate(given, frame, 2.0) - whole).max() < 1e-4


def test_nodes_are_near_the_networks_and_cost_no_more(shot, monkeypatch):
    model = load_model(shot.folder)
    large = at_plate(model, 4 * SMALL, 2 * WIDTH)
    asked = []
    own = model.alpha.forward

    def counted(xy, t):
        asked[-1] += len(xy)
        return own(xy, t)

    monkeypatch.setattr(model.alpha, "forward", counted)
    densities = [40.0] * model.layers
    found = []
    for view in (model, large):
        asked.append(0)
        found.append(frame_layers_by_nodes(view, 2, densities))
    assert asked[1] < 2.5 * asked[0]
    exact = frame_layers(large, 2)
    assert np.abs(found[1].alpha - exact.alpha).max() < 0.25  # within a pixel that was looked at
    assert np.abs(found[1].alpha - exact.alpha).mean() < 1 / 255
    both = (found[1].alpha > 0.5) & (exact.alpha > 0.5)
    assert np.abs(found[1].uv - exact.uv)[both].max() * 40 < 0.2


def test_the_view_shares_the_square_of_picture(shot):
    """Pixel centres of a plate of twice the size lie a quarter beside those that were looked at."""
    model = load_model(shot.folder)
    view = at_plate(model, 2 * SMALL, WIDTH)
    assert at_plate(model, SMALL, WIDTH // 2) is model
    small, large = frame_layers(model, 1, light=False), frame_layers(view, 1, light=False)
    mean = large.uv[1].reshape(SMALL, 2, WIDTH // 2, 2, 2).mean((1, 3))
    whole = large.alpha[1].reshape(SMALL, 2, WIDTH // 2, 2).min((1, 3)) > 0.9
    pixel = np.abs(np.diff(small.uv[1][whole], axis=0)).max()
    assert np.abs(mean - small.uv[1])[whole].max() < 0.1 * pixel


def test_exact_maps_follow_the_edge_too(shot, tmp_path):
    for t in range(FRAMES_OF_CLIP):
        write_image(tmp_path / "frames" / f"{t:05d}.png", plate(t))
    for name in ("checkpoint.json", "checkpoint.safetensors", "settings.yaml"):
        (tmp_path / name).write_bytes((shot.folder / name).read_bytes())
    from nvd_core.baking.plate import plate_of

    info = open_clip(tmp_path / "frames", height=SMALL).info
    model = load_model(shot.folder)
    exact = settings(bake="exact", fit_textures=False)
    larger = plate_of(tmp_path, info, None)
    bake(Baking(model, tmp_path, exact, 8, None, None, larger), Progress())
    found = read_maps(tmp_path / "maps" / "00003.exr", shot.names).uva
    by_nodes = read_maps(shot.map_path(3), shot.names).uva
    assert np.abs(found[..., 2] - by_nodes[..., 2]).mean() < 2 / 255


def test_the_camera_sees_the_plate(shot, tmp_path):
    render_camera(shot, str(tmp_path / "%05d.png"), [Key(0)], frames=(2, 2), device="cpu")
    seen = read_image(tmp_path / "00002.png").astype(int)
    assert seen.shape[:2] == (HEIGHT, WIDTH)
    inner = np.s_[8:-8, 8:-8]
    error = np.abs(seen - plate(2))[inner]
    moved = np.abs(np.roll(seen, 3, 1) - plate(2))[inner]
    assert error.mean() < 0.6 * moved.mean()


def test_the_report_says_of_which_size_it_is(shot, tmp_path):
    report = evaluate(shot, page=False)
    assert report["size"] == [WIDTH, HEIGHT] and report["analysis"] == [WIDTH // 2, SMALL]
    assert report["psnr"] > 15 and report["alpha_iou"]["star"] > 0.9
    assert all(share < 0.5 for share in report["stretched_by_layer"].values())


@pytest.fixture(scope="module")
def small(clip, tmp_path_factory):
    """The small plate, delivered as it was before."""
    folder = tmp_path_factory.mktemp("small") / "shot.nvd"
    decompose(folder, job_of(clip, plate_height=SMALL), settings(), Progress())
    return Shot.open(folder)


def test_a_small_plate_is_what_it_was(small, clip, tmp_path):
    """Maps and textures are, to the byte, those of a source that has this size by itself."""
    assert small.manifest.clip.analysis is None
    info = open_clip(clip / "frames", height=SMALL, plate_height=SMALL)
    source = tmp_path / "clip"
    for t, frame in enumerate(info):
        write_image(source / "frames" / f"{t:04d}.png", frame)
        write_image(source / "masks" / f"{t:04d}.png", read_image(small.mask_path("star", t)))
    folder = tmp_path / "shot.nvd"
    job = job_of(source)
    job.height = None
    decompose(folder, job, settings(), Progress())
    names = [f"maps/{t:05d}.exr" for t in range(FRAMES_OF_CLIP)]
    for name in (*names, "textures/star.png", "textures/background.png", "maps/errors.json"):
        assert (folder / name).read_bytes() == (small.folder / name).read_bytes(), name


def test_both_sizes_train_the_same_networks(shot, small):
    ours, theirs = load_model(shot.folder).state_dict(), load_model(small.folder).state_dict()
    assert all((ours[name] == theirs[name]).all() for name in ours)


class _StopBehind(Progress):
    """Cancels as soon as a stage begins."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def stage(self, name, *counts):
        super().stage(name, *counts)
        if name == self.name:
            raise Cancelled


@pytest.mark.parametrize("stop", ["frames", "training"])
def test_an_unfinished_folder_of_before_goes_on_as_it_was(clip, tmp_path, stop):
    """Its job knows one height only, which is that of the frames too."""
    folder = tmp_path / "shot.nvd"
    short = settings(iterations=5)
    with pytest.raises(Cancelled):
        decompose(folder, job_of(clip, plate_height=SMALL), short, _StopBehind(stop))
    path = folder / "job.json"
    known = json.loads(path.read_text())
    del known["plate_height"], known["clip"]["analysis"]
    path.write_text(json.dumps(known))
    text = (folder / "settings.yaml").read_text()
    (folder / "settings.yaml").write_text(text.replace("texture_size: 1\n", ""))
    resume(folder, Progress(), yes=True)
    record = read_manifest(folder).clip
    assert (record.width, record.height, record.analysis) == (WIDTH // 2, SMALL, None)


def test_a_command_of_before_finds_its_folder(small, clip, tmp_path):
    """Where the folder knows one height only, `--height` alone is what made it."""
    folder = tmp_path / "shot.nvd"
    shutil.copytree(small.folder, folder)
    known = json.loads((folder / "job.json").read_text())
    del known["plate_height"]
    (folder / "job.json").write_text(json.dumps(known))
    assert check_same(folder, job_of(clip), settings()).plate_height == SMALL
    assert decompose(folder, job_of(clip), settings(), Progress())["finished_before"]
    other = job_of(clip)
    other.height = SMALL - 2
    with pytest.raises(NvdError, match="another job"):
        check_same(folder, other, settings())


def test_a_small_plate_is_another_job(small, clip):
    known = json.loads((small.folder / "job.json").read_text())
    check_same(small.folder, job_of(clip, plate_height=SMALL), settings())
    with pytest.raises(NvdError, match="another job") as refused:
        check_same(small.folder, job_of(clip), settings())
    assert f"plate_height: {SMALL} there, none asked for" in refused.value.found
    assert known["plate_height"] == SMALL


def test_a_plate_of_the_sources_height_is_no_other_job(shot, clip):
    check_same(shot.folder, job_of(clip, plate_height=HEIGHT), settings())


@pytest.mark.parametrize("version", [3, 4])
def test_manifests_of_older_versions_are_read(small, tmp_path, version):
    value = json.loads((small.folder / "manifest.json").read_text())
    assert value["version"] == VERSION and "analysis" not in value["clip"]
    (tmp_path / "manifest.json").write_text(json.dumps(value | {"version": version}))
    assert read_manifest(tmp_path) == small.manifest


def test_an_analysis_beyond_the_plate_is_refused(shot, tmp_path):
    value = json.loads((shot.folder / "manifest.json").read_text())
    value["clip"]["analysis"]["height"] = HEIGHT + 1
    (tmp_path / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(NvdError, match=r"clip\.analysis"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("dtype", ["uint16", "float16"])
def test_import_keeps_depth_and_size(tmp_path, dtype):
    suffix = ".png" if dtype == "uint16" else ".exr"
    random = np.random.default_rng(1)
    for t in range(2):
        image = random.random((64, 96, 3), np.float32)
        image = (image * 65535).astype(dtype) if suffix == ".png" else image.astype(dtype)
        write_image(tmp_path / "in" / f"{t:04d}{suffix}", image)
    clip = open_clip(tmp_path / "in", height=32)
    import_clip(clip, tmp_path / "out", Progress())
    for t in range(2):
        kept = read_image(tmp_path / "out" / "frames" / f"{t:05d}{suffix}")
        assert np.array_equal(kept, read_image(tmp_path / "in" / f"{t:04d}{suffix}"))
    small = open_clip(tmp_path / "in", height=32, plate_height=32)
    import_clip(small, tmp_path / "small", Progress())
    one, other = (open_array(work_folder(tmp_path / name), FRAMES) for name in ("out", "small"))
    assert one.shape == (2, 32, 48, 3) and np.array_equal(one, other)


def test_more_lines_than_the_plate_has_are_not_looked_for(clip):
    opened = open_clip(clip / "frames", height=2 * HEIGHT)
    assert opened.info.analysis is None and opened.info.height == HEIGHT
    assert any(f"{HEIGHT} lines" in note for note in opened.notes)


def test_a_garbage_matte_is_of_the_plates_size(clip, tmp_path):
    matte = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    matte[5:18, 101:140] = 255
    write_image(tmp_path / "matte.png", matte)
    folder = tmp_path / "shot.nvd"
    job = job_of(clip, garbage=str(tmp_path / "matte.png"))
    decompose(folder, job, settings(iterations=5), Progress())
    shot = Shot.open(folder)
    assert np.array_equal(read_image(folder / shot.manifest.garbage), matte)
    maps = read_maps(shot.map_path(0), shot.names)
    assert (maps.uva[:, matte[..., 0] > 0, 2] == 0).all()
    assert np.allclose(maps.uva[:, matte[..., 0] == 0, 2].sum(0), 1, atol=1e-3)
    for frame, t in zip(render_frames(shot, mode="full"), range(2), strict=False):
        assert np.array_equal(frame[matte[..., 0] > 0], plate(t)[matte[..., 0] > 0])


@pytest.fixture
def copy(shot, tmp_path):
    """A copy of the folder, with a green patch on the star."""
    shutil.copytree(shot.folder, tmp_path / "copy.nvd")
    path = tmp_path / "copy.nvd" / "edits" / "star.png"
    edit = read_image(path).copy()
    height, width = edit.shape[:2]
    edit[height // 3 : height // 2, width // 3 : 2 * width // 3, :3] = (0, 255, 0)
    write_image(path, edit)
    return Shot.open(tmp_path / "copy.nvd")


def painted(shot):
    """Where the frames are green by paint, bool [T, H, W]."""
    shown = np.stack(list(render_frames(shot))).astype(int)
    return shown[..., 1] - np.stack([plate(t) for t in range(FRAMES_OF_CLIP)])[..., 1] > 30


def test_larger_textures_are_sharper_and_keep_the_paint(copy):
    before, green = evaluate(copy, page=False), painted(copy)
    kept = {name: copy.edit_path(name).read_bytes() for name in copy.names}
    old = {name: copy.edit_path(name) for name in copy.names}
    facts = resize_textures(copy, 2)
    large = Shot.open(copy.folder)
    assert facts["size"] == large.manifest.texture_size == 2
    for name in copy.names:
        one, two = copy.layer(name), large.layer(name)
        assert (two.texture_width, two.texture_height) == (
            2 * one.texture_width,
            2 * one.texture_height,
        )
        assert read_image(large.edit_path(name)).shape == read_image(large.texture_path(name)).shape
        assert old[name].read_bytes() == kept[name], "what was painted before stays where it was"
    after = evaluate(large, page=False)
    assert after["psnr"] > before["psnr"] + 0.3
    assert after["stretched_by_layer"] == before["stretched_by_layer"]
    assert after["flicker_by_layer"] == before["flicker_by_layer"]
    now = painted(large)
    assert (now & green).sum() > 0.9 * (now | green).sum() > 50
    same = read_image(large.edit_path("background")), read_image(large.texture_path("background"))
    assert np.array_equal(*same)


def test_there_and_back_again_uses_new_names(copy):
    green = painted(copy)
    for size in (2, 1, 2):
        resize_textures(copy, size)
    shot = Shot.open(copy.folder)
    assert shot.layer("star").edit == "edits/star.x2-2.png"
    assert resize_textures(shot, 2)["edits"]["star"] == "edits/star.x2-2.png"  # nothing to do
    first = copy.layer("star")
    assert shot.layer("star").texture_width == 2 * first.texture_width
    now = painted(shot)
    assert (now & green).sum() > 0.8 * (now | green).sum()


def test_another_size_is_taken_back_bit_for_bit_and_brought_again(copy):
    before = copy.manifest
    with pytest.raises(NvdError, match="no other size before"):
        take_back(copy)
    resize_textures(copy, 2)
    large = Shot.open(copy.folder).manifest
    assert take_back(copy)["size"] == 1
    assert Shot.open(copy.folder).manifest.layers == before.layers
    assert main(["textures", str(copy.folder), "--back"]) == 0
    assert Shot.open(copy.folder).manifest == large


def test_what_is_painted_on_the_larger_ones_comes_back_too(copy):
    """Into a file of its own; the edit of before is kept, and so is that of a layer as it was."""
    old = copy.edit_path("star").read_bytes()
    resize_textures(copy, 2)
    large = Shot.open(copy.folder)
    edit = read_image(large.edit_path("star")).copy()
    middle = slice(edit.shape[0] // 2, edit.shape[0] * 5 // 8), slice(None)
    edit[middle] = (255, 0, 255, 255)
    write_image(large.edit_path("star"), edit)
    facts = take_back(copy)
    assert facts["edits"]["star"] == "edits/star.x1-2.png"
    assert facts["edits"]["background"] == copy.layer("background").edit
    assert copy.edit_path("star").read_bytes() == old
    now = read_image(Shot.open(copy.folder).edit_path("star"))
    assert now.shape == read_image(copy.edit_path("star")).shape
    painted_row = now[now.shape[0] * 9 // 16, :, :3]
    seen = now[now.shape[0] * 9 // 16, :, 3] > 0
    assert seen.sum() > 5 and (painted_row[seen] == (255, 0, 255)).all()


def test_textures_made_anew_are_not_taken_back(copy):
    resize_textures(copy, 2)
    layers = [replace(one, texture="textures/other.png") for one in copy.manifest.layers]
    other = Shot(copy.folder, replace(copy.manifest, layers=tuple(layers)))
    with pytest.raises(NvdError, match="made anew"):
        read_former(other)


def test_an_edit_painted_on_meanwhile_is_not_passed_over(copy):
    class Painter(Progress):
        def stage(self, name, *counts):
            super().stage(name, *counts)
            if name == "fit":
                edit = read_image(copy.edit_path("background")).copy()
                edit[0, 0] = 255 - edit[0, 0]
                write_image(copy.edit_path("background"), edit)

    files = {path.name for path in (copy.folder / "edits").iterdir()}
    with pytest.raises(NvdError, match="meanwhile"):
        resize_textures(copy, 2, Painter())
    assert {path.name for path in (copy.folder / "edits").iterdir()} == files
    assert Shot.open(copy.folder).manifest == copy.manifest


def test_textures_of_several_sizes_may_be_asked_for_at_once(clip, shot, tmp_path):
    folder = tmp_path / "shot.nvd"
    decompose(folder, job_of(clip), settings(texture_size=2, iterations=5), Progress())
    assert read_manifest(folder).texture_size == 2
    with pytest.raises(NvdError, match="another job") as refused:
        check_same(shot.folder, job_of(clip), settings(texture_size=2))
    assert "texture_size: 1 there, 2 asked for" in refused.value.found
