"""A colour space that the user named: OpenColorIO converts to the working space and back."""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import OpenImageIO as oiio
import PyOpenColorIO as ocio
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.hand_over import hand_over
from nvd_core.editing.paint_frame import read_paint
from nvd_core.editing.render import render, render_frames, render_stored
from nvd_core.job import Job
from nvd_core.media.clip import Reading, open_clip
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.conversion import FROM_WORKING, TO_WORKING, load_conversion
from nvd_core.media.images import decode_srgb, encode_srgb, read_image, write_image
from nvd_core.media.input_space import BUILT_IN, input_space, space_of_file_rules
from nvd_core.pipeline import decompose, resume
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.settings import fast, update_settings
from nvd_core.shot.manifest import read_manifest
from nvd_core.shot.shot import Shot

LINEAR = "Linear Rec.709 (sRGB)"
LOGC, SLOG3 = "ARRI LogC3 (EI800)", "S-Log3 S-Gamut3.Cine"
PQ, HLG = "Rec.2100-PQ - Display", "Rec.2100-HLG - Display"
CONFIG = """ocio_profile_version: 2
search_path: luts
roles: {default: lin_rec709, scene_linear: lin_rec709, color_picking: lin_rec709}
file_rules:
  - !<Rule> {name: scans, colorspace: Cineon, pattern: "*scan*", extension: dpx}
  - !<Rule> {name: Default, colorspace: default}
displays: {screen: [!<View> {name: view, colorspace: lin_rec709}]}
colorspaces:
  - !<ColorSpace> {name: lin_rec709}
  - !<ColorSpace>
    name: Cineon
    from_scene_reference: !<LogAffineTransform> {base: 10, log_side_slope: 0.29325513196,
      log_side_offset: 0.66959921799, lin_side_slope: 0.98920224838, lin_side_offset: 0.01079775162}
  - !<ColorSpace>
    name: Tabled
    to_scene_reference: !<FileTransform> {src: square.spi1d, interpolation: linear}
  - !<ColorSpace>
    name: Lost
    to_scene_reference: !<FileTransform> {src: none.spi1d}
  - !<ColorSpace>
    name: Flat
    to_scene_reference: !<MatrixTransform>
      {matrix: [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]}
  - !<ColorSpace>
    name: Posted
    to_scene_reference: !<RangeTransform> {min_in_value: 0.3, min_out_value: 0.3}
  - !<ColorSpace> {name: Numbers, isdata: true}
"""


@pytest.fixture(scope="module")
def cineon(tmp_path_factory):
    """A configuration of our own, with a table beside it."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "luts").mkdir()
    squares = "\n".join(f" {(n / 255) ** 2:.8f}" for n in range(256))
    head = "Version 1\nFrom 0 1\nLength 256\nComponents 1\n{\n"
    (folder / "luts" / "square.spi1d").write_text(f"{head}{squares}\n}}\n")
    (folder / "config.ocio").write_text(CONFIG)
    return str(folder / "config.ocio")


def converted(config, source, target, colours):
    """What OpenColorIO itself makes of colours."""
    processor = ocio.Config.CreateFromFile(config).getProcessor(source, target)
    depth = ocio.BIT_DEPTH_F32
    exact = processor.getOptimizedCPUProcessor(depth, depth, ocio.OPTIMIZATION_LOSSLESS)
    values = np.array(colours, np.float32, order="C")
    exact.applyRGB(values)
    return values


def write_dpx(path, pixels):
    """A 10-bit DPX, logarithmic by its header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 3, "uint16")
    spec.attribute("oiio:BitsPerSample", 10)
    spec.attribute("dpx:Transfer", "Logarithmic")
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec) and output.write_image(pixels), output.geterror()
    output.close()


def shot_in(media_files, source, folder, config, name):
    found = input_space(config, name)
    found.conversion.save(folder)
    return media_files.shot_of(source, folder, reading=Reading(named=True, space=found.space))


def scene(t, top=1.0, bottom=0.0):
    """Linear light [32, 48, 3] from `bottom` to `top`, other at every pixel."""
    y, x = np.mgrid[0:32, 0:48] / np.array([32, 48]).reshape(2, 1, 1)
    parts = [x**3, 0.02 + 0.8 * y**2, 0.3 + 0.28 * np.sin(9 * x + 5 * y + t)]
    return (bottom + (top - bottom) * np.stack(parts, -1)).astype(np.float32)


# config, space, its linear Rec.709, kind of file, brightest and darkest light
CASES = {
    "LogC3": (BUILT_IN, LOGC, LINEAR, "dpx", 20, -0.01),
    "S-Log3": (BUILT_IN, SLOG3, LINEAR, "png", 20, 0),
    "Cineon": ("ours", "Cineon", "lin_rec709", "dpx", 8, 0),
    "a table": ("ours", "Tabled", "lin_rec709", "tif", 1, 0),
    "LogC3 as float": (BUILT_IN, LOGC, LINEAR, "exr", 40, -0.01),
    "ACEScg": (BUILT_IN, "ACEScg", LINEAR, "exr", 60, -0.3),
    "ACES2065-1": (BUILT_IN, "ACES2065-1", LINEAR, "exr", 60, -0.3),
    "PQ": (BUILT_IN, PQ, LINEAR, "png", 8, 0),
    "HLG": (BUILT_IN, HLG, LINEAR, "png", 5, 0),
}


def written(media_files, case, cineon, folder):
    """Two frames of a case; the configuration, and the colours as they were stored."""
    config, name, linear, kind, top, bottom = CASES[case]
    config = cineon if config == "ours" else config
    stored = []
    for t in range(2):
        values = converted(config, linear, name, scene(t, top, bottom))
        path = folder / f"{t}.{kind}"
        if kind == "exr":
            media_files.write_exr(path, media_files.named(values, dtype="float32"))
        elif kind == "dpx":
            write_dpx(path, media_files.integers(values.clip(0, 1), "uint16"))
        else:
            path.parent.mkdir(exist_ok=True, parents=True)
            write_image(path, media_files.integers(values.clip(0, 1), "uint16"))
        stored.append(read_image(path)[..., :3])
    return config, stored


@pytest.mark.parametrize("case", CASES)
def test_only_painted_pixels_are_converted_back(tmp_path, media_files, cineon, case):
    _, name, linear, kind, *_ = CASES[case]
    config, (stored, _) = written(media_files, case, cineon, tmp_path / "in")
    shot = shot_in(media_files, tmp_path / "in", tmp_path / "s.nvd", config, name)
    assert shot.manifest.clip.picture.space.name == name
    suffix = "exr" if kind == "exr" else "png"
    # unedited, and with an edit that is the texture in another file: the source, bit for bit
    for edits in ({}, {"dog": tmp_path / "same.tif"}):
        write_image(tmp_path / "same.tif", read_image(shot.texture_path("dog")))
        render(shot, tmp_path / "out" / f"%d.{suffix}", edits, again=True)
        np.testing.assert_array_equal(read_image(tmp_path / "out" / f"0.{suffix}"), stored)
    # in the working space it is what OpenColorIO makes of it
    as_float = stored / np.float32(65535) if stored.dtype == np.uint16 else stored
    light = converted(config, name, linear, as_float)
    colours = next(render_frames(shot))
    np.testing.assert_allclose(colours, light, rtol=1e-5, atol=1e-5)
    seen = np.load(shot.folder / "work" / "frames.npy")[0]
    assert np.abs(seen - encode_srgb(light).clip(0, 1) * 255).max() <= 0.51
    # paint: the change of the display-encoded working colours, back through the inverse
    media_files.paint_dog(shot)
    change = (np.array([250, 20, 30]) - [90, 140, 60]).astype(np.float32) / 255
    wanted = converted(config, linear, name, decode_srgb(encode_srgb(light) + change))
    render(shot, tmp_path / "painted" / f"%d.{suffix}")
    painted = read_image(tmp_path / "painted" / f"0.{suffix}")
    changed = (painted != stored).any(2)
    assert 100 < changed.sum() < 800
    np.testing.assert_array_equal(painted[~changed], stored[~changed])
    inside = np.hypot(*(np.mgrid[0:32, 0:48] + 0.5 - [[[16]], [[24]]])) < 3.5
    assert inside.sum() > 30 and changed[inside].all()
    tolerance = {"rtol": 1e-4, "atol": 1e-4}
    if stored.dtype == np.uint16:
        painted, wanted = painted / 65535, wanted.clip(0, 1)
    np.testing.assert_allclose(painted[inside], wanted[inside], **tolerance)


ROUND_TRIPS = {  # space: lowest and highest light, and the error, of the light or of 1
    LOGC: (-0.01, 50, 2e-5),
    SLOG3: (-0.01, 35, 2e-5),
    "ACEScg": (-10, 60000, 1e-6),
    "ACES2065-1": (-10, 60000, 1e-6),
    PQ: (0, 99, 1e-3),
    HLG: (0, 9, 2e-4),
    "Cineon": (0, 12, 2e-5),
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_working_values_come_back_over_the_whole_range(cineon, name):
    """Greys and mild colours; the error of far saturated ones is float32's, of their brightest."""
    low, high, error = ROUND_TRIPS[name]
    conversion = input_space(cineon if name == "Cineon" else BUILT_IN, name).conversion
    greys = np.concatenate([np.linspace(low, 1, 400), np.geomspace(1, high, 400)])
    tints = np.array([[1, 1, 1], [1, 0.8, 0.7], [0.7, 1, 0.9], [0.8, 0.7, 1]])
    light = (greys[:, None, None] * tints).astype(np.float32)
    back = conversion.to_linear(conversion.from_linear(light))
    working = decode_srgb(encode_srgb(back))
    for values in (back, working):
        assert (np.abs(values - light) / np.maximum(1, np.abs(light))).max() <= error


def test_outputs_of_another_kind_are_rec709_and_say_so(tmp_path, media_files, cineon):
    config, (stored, _) = written(media_files, "LogC3", cineon, tmp_path / "in")
    shot = shot_in(media_files, tmp_path / "in", tmp_path / "s.nvd", config, LOGC)
    light = converted(config, LOGC, LINEAR, stored / np.float32(65535))
    for suffix, words in (("exr", "to linear Rec.709"), ("jpg", "to sRGB"), ("mp4", "to sRGB")):
        said = []
        progress = Progress()
        progress.caution = said.append
        out = tmp_path / suffix / ("a.mp4" if suffix == "mp4" else f"%d.{suffix}")
        out.parent.mkdir()
        render(shot, out, progress=progress)
        assert words in " ".join(said) and LOGC in " ".join(said)
    half = read_image(tmp_path / "exr" / "0.exr")
    np.testing.assert_allclose(half, light, rtol=1e-3, atol=1e-5)
    jpeg = read_image(tmp_path / "jpg" / "0.jpg") / 255
    assert np.abs(jpeg - encode_srgb(light).clip(0, 1)).mean() < 0.02
    movie = next(iter(open_clip(tmp_path / "mp4" / "a.mp4"))) / 255
    assert np.abs(movie - encode_srgb(light).clip(0, 1)).mean() < 0.03
    assert media_files.movie_tags(tmp_path / "mp4" / "a.mp4")["tags"][:3] == (1, 1, 1)


def test_a_log_movie_comes_back_as_a_log_movie(tmp_path, media_files):
    frames = [converted(BUILT_IN, LINEAR, SLOG3, scene(t, 10)) for t in range(2)]
    pixels = [media_files.integers(frame.clip(0, 1), "uint16") for frame in frames]
    tags = (1, 1, 1, 1)
    path = tmp_path / "in.mov"
    media_files.write_movie(path, pixels, "prores_ks", "yuv422p10le", tags=tags)
    shot = shot_in(media_files, path, tmp_path / "s.nvd", BUILT_IN, SLOG3)
    render(shot, tmp_path / "out.mov")
    assert media_files.movie_tags(tmp_path / "out.mov")["tags"] == tags
    came, went = (next(iter(open_clip(p))) / 65535 for p in (tmp_path / "out.mov", path))
    assert np.abs(came - went).mean() < 0.01


def test_a_pq_movie_gives_linear_exr(tmp_path, media_files):
    """Without a space that is refused: its values are taken as they stand."""
    frames = [media_files.integers(media_files.ramp(t), "uint16") for t in range(2)]
    path, tags = tmp_path / "in.mov", (9, 16, 9, 1)
    media_files.write_movie(path, frames, "prores_ks", "yuv422p10le", tags=tags)
    shot = shot_in(media_files, path, tmp_path / "s.nvd", BUILT_IN, PQ)
    assert not any("as they stand" in text for text in shot.manifest.cautions)
    render(shot, tmp_path / "%d.exr", bit_depth="float")
    stored = read_image(shot.frame_path(0)) / np.float32(65535)
    light = converted(BUILT_IN, PQ, LINEAR, stored)
    np.testing.assert_allclose(read_image(tmp_path / "0.exr"), light, rtol=1e-4, atol=1e-4)
    render(shot, tmp_path / "out.mov")
    assert media_files.movie_tags(tmp_path / "out.mov")["tags"] == tags


@pytest.mark.parametrize("name", [PQ, HLG])
def test_white_of_an_hdr_space(name):
    """As Blender takes it, 203 nits are 1; no other space has such a white."""
    codes = np.linspace(0, 1, 20)[:, None].repeat(3, 1)
    usual, other = (input_space(BUILT_IN, name, white).conversion for white in (None, 203))
    np.testing.assert_allclose(
        other.to_linear(codes), usual.to_linear(codes) * 100 / 203, rtol=1e-5
    )
    light = np.linspace(0, 4, 20)[:, None].repeat(3, 1)
    np.testing.assert_allclose(other.to_linear(other.from_linear(light)), light, atol=1e-3)
    same = {input_space(BUILT_IN, LOGC, white).conversion.digest for white in (None, 100, 203)}
    assert len(same) == 1


def test_alpha_stays_in_a_space(tmp_path, media_files):
    for t in range(2):
        image = media_files.ramp(t, alpha=True)
        image[..., :3] = converted(BUILT_IN, LINEAR, "ACEScg", image[..., :3]) * image[..., 3:]
        media_files.write_exr(
            tmp_path / "in" / f"{t}.exr", media_files.named(image, dtype="float32")
        )
    shot = shot_in(media_files, tmp_path / "in", tmp_path / "s.nvd", BUILT_IN, "ACEScg")
    media_files.paint_dog(shot)
    render(shot, tmp_path / "%d.exr")
    theirs = media_files.read_channels(tmp_path / "in" / "0.exr")
    ours = media_files.read_channels(tmp_path / "0.exr")
    np.testing.assert_array_equal(ours["A"], theirs["A"])
    changed = ours["R"] != theirs["R"]
    assert 100 < changed.sum() < 800
    np.testing.assert_array_equal(ours["R"][theirs["A"] == 0], theirs["R"][theirs["A"] == 0])
    render(shot, tmp_path / "alone" / "%d.exr", layer="dog")
    alone = media_files.read_channels(tmp_path / "alone" / "0.exr")
    red = decode_srgb(np.float32([250, 20, 30]) / 255)
    acescg = converted(BUILT_IN, LINEAR, "ACEScg", red)
    middle = tuple(alone[c][16, 24] / alone["A"][16, 24] for c in "RGB")
    np.testing.assert_allclose(middle, acescg, rtol=1e-4)


def test_a_layer_alone_of_a_log_clip(tmp_path, media_files, cineon):
    config, _ = written(media_files, "LogC3", cineon, tmp_path / "in")
    shot = shot_in(media_files, tmp_path / "in", tmp_path / "s.nvd", config, LOGC)
    media_files.paint_dog(shot)
    render(shot, tmp_path / "%d.png", layer="dog", bit_depth=16)
    image = read_image(tmp_path / "0.png") / 65535
    red = decode_srgb(np.float32([250, 20, 30]) / 255)
    np.testing.assert_allclose(image[16, 24, :3], converted(config, LINEAR, LOGC, red), atol=1e-4)
    assert (image[image[..., 3] == 0] == 0).all() and (image[..., 3] == 0).sum() > 100


def test_paint_on_a_rendered_frame_of_a_log_clip(tmp_path, media_files, cineon):
    config, _ = written(media_files, "LogC3", cineon, tmp_path / "in")
    shot = shot_in(media_files, tmp_path / "in", tmp_path / "s.nvd", config, LOGC)
    render(shot, tmp_path / "%d.png", bit_depth=16)
    image = read_image(tmp_path / "0.png")
    red = decode_srgb(np.float32([0.9, 0.1, 0.2]))
    logged = converted(config, LINEAR, LOGC, red)
    image[14:18, 22:26] = media_files.integers(logged, "uint16")
    write_image(tmp_path / "painted.png", image)
    paint = read_paint(shot, 0, tmp_path / "painted.png")
    assert paint.opacity[14:18, 22:26].min() > 0.5 and (paint.opacity > 0).sum() == 16
    np.testing.assert_allclose(paint.colours[15, 24], [0.9, 0.1, 0.2], atol=1e-3)


def test_a_space_that_is_the_sources_own_changes_nothing(tmp_path, tiny_clip):
    frames, _ = tiny_clip.write(tmp_path)
    job = Job(source=str(frames), input_space="sRGB - Display", ocio=BUILT_IN)
    info = began(job, tmp_path / "s.nvd")
    assert info.picture.space is None
    assert not (tmp_path / "s.nvd" / "colour").exists()
    assert (
        "space" not in json.loads((tmp_path / "s.nvd" / "job.json").read_text())["clip"]["picture"]
    )


class Stopping(Progress):
    """Cancels as a stage begins."""

    def __init__(self, stage):
        super().__init__()
        self._stop_at = stage

    def stage(self, name, total):
        if name == self._stop_at:
            raise Cancelled
        super().stage(name, total)


def small(steps=20):
    grid = {"levels": 4, "log2_table": 12}
    values = {"iterations": steps, "points": 200}
    grids = dict.fromkeys(("texture_grid", "residual_grid", "alpha_grid"), grid)
    settings = fast()
    update_settings(settings, values | grids)
    return settings


def began(job, folder, stage="flow"):
    """What is known of the clip of a decomposition that was stopped."""
    with pytest.raises(Cancelled):
        decompose(folder, job, small(), Stopping(stage))
    known = Job.load(folder)
    return ClipInfo.from_json(known.clip | {"source": known.source})


def test_a_decomposition_needs_its_configuration_once(tmp_path, tiny_clip, cineon, capsys):
    """Begun, stopped before a frame was imported, resumed and rendered without it."""
    frames, _ = tiny_clip.write(tmp_path)
    config = shutil.copytree(os.path.dirname(cineon), tmp_path / "config")
    for path in frames.iterdir():
        write_dpx(path.with_suffix(".dpx"), read_image(path).astype(np.uint16) * 257)
        path.unlink()
    folder = tmp_path / "s.nvd"
    job = Job(source=str(frames), input_space="Tabled", ocio=str(config / "config.ocio"))
    assert began(job, folder, "frames").picture.space.name == "Tabled"
    shutil.rmtree(config)
    resume(folder, Progress())
    moved = tmp_path / "moved.nvd"
    folder.rename(moved)
    script = "import sys; from nvd_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = ["render", moved, "--out", tmp_path / "out" / "%d.png", "--mode", "full"]
    subprocess.run([sys.executable, "-c", script, *map(str, words)], check=True, timeout=120)
    first = read_image(tmp_path / "out" / "0.png") / 65535
    theirs = read_image(frames / "0000.dpx") / 65535
    # after so few steps it is only roughly there; display-encoded it would be far brighter
    assert abs(first.mean() - theirs.mean()) < 0.1
    assert main(["info", str(moved)]) == 0
    assert "Tabled of config.ocio" in capsys.readouterr().out


WRONG = {
    "no configuration": (
        ["--ocio", "TMP/none.ocio", "--input-space", "a"],
        "there is no OpenColorIO",
    ),
    "another file": (
        ["--ocio", "TMP/other.ocio", "--input-space", "a"],
        "cannot read the OpenColorIO",
    ),
    "no built-in one": (
        ["--ocio", "ocio://nope", "--input-space", "a"],
        "cannot read the OpenColorIO",
    ),
    "no space": (["--input-space", "LogC3"], "has no colour space LogC3"),
    "a lost table": (["--ocio", "OURS", "--input-space", "Lost"], "none.spi1d"),
    "singular": (["--ocio", "OURS", "--input-space", "Flat"], "cannot convert Flat"),
    "not back": (["--ocio", "OURS", "--input-space", "Posted"], "cannot be converted back"),
    "data": (["--ocio", "OURS", "--input-space", "Numbers"], "is for data"),
    "no space named": (["--ocio", "OURS"], "none is named"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_converted_is_told(tmp_path, tiny_clip, cineon, capsys, monkeypatch, case):
    monkeypatch.delenv("OCIO", raising=False)
    frames, _ = tiny_clip.write(tmp_path)
    (tmp_path / "other.ocio").write_text("what: this\n")
    words, told = WRONG[case]
    words = [word.replace("TMP", str(tmp_path)).replace("OURS", cineon) for word in words]
    assert main(["decompose", str(frames), "--out", str(tmp_path / "o.nvd"), *words]) == 2
    said = capsys.readouterr().err
    assert told in said and "what to do: " in said
    assert not (tmp_path / "o.nvd").exists()
    if case == "no space":
        assert "one of its 57, such as " in said and LOGC in said


def test_the_variable_says_where_a_space_is(tmp_path, tiny_clip, cineon, monkeypatch):
    frames, _ = tiny_clip.write(tmp_path)
    monkeypatch.setenv("OCIO", cineon)
    seen = SimpleNamespace()
    monkeypatch.setattr(
        "nvd_core.pipeline.decompose",
        lambda folder, job, *rest, **_: vars(seen).update(job=job) or {},
    )
    words = ["decompose", str(frames), "--out", str(tmp_path / "o.nvd")]
    main([*words, "--input-space", "Cineon"])
    assert (seen.job.input_space, seen.job.ocio) == ("Cineon", cineon)
    main(words)
    assert (seen.job.input_space, seen.job.ocio) == (None, None)
    monkeypatch.delenv("OCIO")
    main([*words, "--input-space", "ACEScg"])
    assert seen.job.ocio == BUILT_IN


def test_file_rules_are_only_said(tmp_path, tiny_clip, cineon, monkeypatch):
    frames, _ = tiny_clip.write(tmp_path)
    for n, path in enumerate(sorted(frames.iterdir())):
        write_dpx(tmp_path / "dpx" / f"scan.{n}.dpx", read_image(path).astype(np.uint16) * 257)
    assert space_of_file_rules(cineon, tmp_path / "scan.0.dpx") == "Cineon"
    assert space_of_file_rules(cineon, tmp_path / "a.png") is None
    monkeypatch.setenv("OCIO", cineon)
    info = began(Job(source=str(tmp_path / "dpx")), tmp_path / "s.nvd")
    assert info.picture.space is None
    said = " ".join(Job.load(tmp_path / "s.nvd").said)
    assert '--input-space "Cineon"' in said and cineon in said
    monkeypatch.setenv("OCIO", str(tmp_path / "none.ocio"))
    began(Job(source=str(tmp_path / "dpx")), tmp_path / "t.nvd")
    assert not Job.load(tmp_path / "t.nvd").said


@pytest.fixture
def logged(tmp_path, media_files, cineon):
    """A shot whose conversion is a table."""
    config, _ = written(media_files, "a table", cineon, tmp_path / "in")
    return shot_in(media_files, tmp_path / "in", tmp_path / "s.nvd", config, "Tabled")


@pytest.mark.parametrize("kind", ["LogC3", "a table", "LogC3 as float"])
def test_it_is_handed_over_as_light(tmp_path, media_files, node_programs, cineon, kind):
    """The scripts make light of light, and the conversion beside them brings it back."""
    config, _ = written(media_files, kind, cineon, tmp_path / "in")
    shot = shot_in(media_files, tmp_path / "in", tmp_path / "s.nvd", config, CASES[kind][1])
    media_files.paint_dog(shot)
    out = tmp_path / "out"
    hand_over(shot, out, ["nuke", "fusion", "natron", "otio"], start=0)
    rendered = list(render_frames(shot))
    back = load_conversion(out, shot.manifest.clip.picture.space.digest).from_linear
    for t in (0, 1):
        result, plate = (
            node_programs.read(out / f"{name}/{name}.{t:04d}.exr") for name in ("result", "plate")
        )
        np.testing.assert_allclose(result[..., :3], rendered[t], rtol=1e-5, atol=1e-6)
        painted = (result != plate).any(2)
        assert painted.any() and not painted.all()
        for program, file in (("nuke", "s.nk"), ("fusion", "s.comp"), ("natron", "s_natron.py")):
            made = getattr(node_programs, program)(out / file, t)["result"]
            if kind == "a table":  # a space that holds no more; light does
                made = made.clip(0, 1)
            np.testing.assert_allclose(made, result, rtol=2e-3, atol=2e-5)
            np.testing.assert_array_equal(made[~painted], plate[~painted])
        (wanted,) = render_stored(shot, {}, range(t, t + 1))
        np.testing.assert_allclose(back(result[..., :3]), wanted, rtol=1e-3, atol=1e-3)
    said = (out / "hand-over.txt").read_text()
    assert CASES[kind][1] in said and "colour/from_rec709.ctf" in said


def rewritten(shot, texts):
    """Other conversions, with the digest that goes with them: as a stranger would."""
    from nvd_core.media.conversion import Conversion

    conversion = Conversion(*texts)
    conversion.save(shot.folder)
    path = shot.folder / "manifest.json"
    values = json.loads(path.read_text())
    values["clip"]["picture"]["space"]["digest"] = conversion.digest
    path.write_text(json.dumps(values))
    return Shot.open(shot.folder)


def test_a_folder_that_lacks_its_conversion_is_refused(tmp_path, logged, media_files):
    media_files.paint_dog(logged)
    digest = logged.manifest.clip.picture.space.digest
    path = logged.folder / TO_WORKING
    text = path.read_text()
    path.write_text(text.replace("0.5", "0.6", 1))
    with pytest.raises(NvdError, match="does not hold the conversion"):
        load_conversion(logged.folder, digest)
    path.unlink()
    with pytest.raises(NvdError, match=r"no .*to_rec709.ctf"):
        load_conversion(logged.folder, digest)


LIES = {
    "refers to another file": lambda text, secret: text.replace(
        "</ProcessList>",
        f'<Reference inBitDepth="32f" outBitDepth="32f" path="{secret}"/></ProcessList>',
    ),
    "declares an entity": lambda text, secret: text.replace(
        "<ProcessList", f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]><ProcessList', 1
    ),
    "is cut off": lambda text, secret: text[: len(text) // 2],
    "is no XML": lambda text, secret: "\x00\x01",
    "is another format": lambda text, secret: (
        "Version 1\nFrom 0 1\nLength 2\nComponents 1\n{\n0\n1\n}\n"
    ),
    "claims a huge table": lambda text, secret: (
        '<?xml version="1.0"?><ProcessList version="1.3" id="a">'
        '<LUT3D inBitDepth="32f" outBitDepth="32f">'
        '<Array dim="60000 60000 60000 3">0</Array></LUT3D></ProcessList>'
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_strangers_conversion_reads_nothing_else(tmp_path, logged, lie):
    secret = tmp_path / "secret.ctf"
    shutil.copy(logged.folder / FROM_WORKING, secret)
    text = (logged.folder / TO_WORKING).read_text()
    shot = rewritten(logged, (LIES[lie](text, secret), text))
    with pytest.raises(NvdError, match=r"to_rec709\.ctf") as refused:
        next(render_frames(shot))
    assert refused.value.remedy


def test_old_manifests_have_no_space_and_new_ones_neither(tmp_path, media_files):
    write_image(tmp_path / "in" / "0.png", np.zeros((20, 20, 3), np.uint8))
    write_image(tmp_path / "in" / "1.png", np.zeros((20, 20, 3), np.uint8))
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "s.nvd")
    values = json.loads((shot.folder / "manifest.json").read_text())
    assert "space" not in values["clip"]["picture"]
    values["clip"]["picture"]["space"] = {"name": "a", "config": "b", "digest": "../c"}
    (shot.folder / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(NvdError, match=r"clip.picture.space.digest"):
        read_manifest(shot.folder)
