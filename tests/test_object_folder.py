"""The folder of `nvd objects`: merged, dropped, renamed, and decomposed."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.job import Job
from nvd_core.object_folder import FoundObject, Objects, change, load_objects, masks_of
from nvd_core.pipeline import object_names
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three objects of four frames; each is a row of its own in the masks."""
    folder = tmp_path / "objects"
    objects = []
    for n, name in enumerate(("a", "b", "c")):
        (folder / "masks" / name).mkdir(parents=True)
        (folder / "thumbnails").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"thumbnails/{name}.png"), np.zeros((4, 4), np.uint8))
        for t in range(4):
            mask = np.zeros((20, 30), np.uint8)
            mask[5 * n : 5 * n + 5] = 255
            cv2.imwrite(str(folder / f"masks/{name}/{t:05d}.png"), mask)
        behind = {"a": ["b", "c"], "b": [], "c": []}[name]
        objects.append(FoundObject(name, [0, 1, 2, 3], [n], [n], 0.5 + n / 10, 0.25, behind))
    import dataclasses

    values = dataclasses.asdict(Objects("/clip", 4, 30, 20, objects))
    (folder / "objects.json").write_text(json.dumps(values))
    return folder


def test_two_are_made_one(folder):
    change(folder, merge=[["c", "b"]], progress=Progress())
    known = load_objects(folder)
    assert known.names == ["a", "c"], "it stands where the nearer of the two stood"
    one = known.objects[1]
    assert (one.moves, one.needs_eye, one.area) == ([1, 2], [1, 2], 0.5)
    mask = cv2.imread(str(folder / "masks/c/00002.png"), 0)
    assert (mask > 127).sum() == 2 * 5 * 30
    assert not (folder / "masks/b").exists() and not (folder / "thumbnails/b.png").exists()
    assert known.objects[0].in_front_of == ["c"]


def test_dropped_kept_and_renamed(folder):
    change(folder, drop=["b"], rename=[("a", "dog")], progress=Progress())
    known = load_objects(folder)
    assert known.names == ["dog", "c"] and known.objects[0].in_front_of == ["c"]
    assert masks_of(folder)[0] == ["dog", str(folder / "masks/dog")]
    change(folder, keep=["c"], progress=Progress())
    assert load_objects(folder).names == ["c"]


@pytest.mark.parametrize(
    "asked",
    [{"drop": ["x"]}, {"merge": [["a", "x"]]}, {"rename": [("a", "B")]}, {"keep": ["x"]}],
)
def test_what_is_not_there_changes_nothing(folder, asked):
    before = (folder / "objects.json").read_text()
    with pytest.raises(NvdError):
        change(folder, **asked, progress=Progress())
    assert (folder / "objects.json").read_text() == before
    assert len(list(folder.glob("masks/*/*.png"))) == 12


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"schema": "nvd.objects", "version": 2}', '{"schema": "nvd.shots", "version": 1}'],
)
def test_a_damaged_folder_is_refused(folder, text):
    (folder / "objects.json").write_text(text)
    with pytest.raises(NvdError, match="no objects"):
        load_objects(folder)


def test_a_name_that_leads_out_is_refused(folder):
    values = json.loads((folder / "objects.json").read_text())
    values["objects"][0]["name"] = "../../out"
    (folder / "objects.json").write_text(json.dumps(values))
    with pytest.raises(NvdError, match="no objects"):
        masks_of(folder)


def test_names_of_what_was_found():
    assert object_names(Job("x")) == ["object"], "folders made before there could be several"
    assert object_names(Job("x", found=[])) == []
    assert object_names(Job("x", found=["object-1", "object-2"])) == ["object-1", "object-2"]


@pytest.mark.slow
def test_the_background_alone_is_decomposed_and_rendered(tmp_path, moving_clips):
    """A pan over a texture: nothing moves by itself."""
    frames = tmp_path / "frames"
    frames.mkdir()
    picture = moving_clips.texture(80, 140, 5)
    for t in range(4):
        cv2.imwrite(str(frames / f"{t:05d}.png"), picture[8:56, 4 * t : 4 * t + 96])
    out = tmp_path / "shot.nvd"
    words = ["decompose", str(frames), "--out", str(out), "--set", "iterations=20", "--json"]
    assert main([*words, "--draft", "--device", "cpu"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert [layer["name"] for layer in manifest["layers"]] == ["background"]
    assert any("decomposed alone" in text for text in manifest["cautions"])
    paint = np.zeros((32, 32, 4), np.uint8)
    paint[..., 2:] = 255
    cv2.imwrite(str(tmp_path / "paint.png"), paint)
    edit = f"background={tmp_path / 'paint.png'}"
    target = tmp_path / "painted" / "%05d.png"
    assert main(["render", str(out), "--out", str(target), "--edit", edit, "--json"]) == 0
    assert len(list((tmp_path / "painted").glob("*.png"))) == 4
