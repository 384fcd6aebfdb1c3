"""A long clip in sections: how it is cut, carried through, faded, and made one movie."""

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from nvd_core.cli.arguments import add_frames
from nvd_core.cli.main import main
from nvd_core.editing.cross_fade import faded
from nvd_core.editing.render import render, render_frames
from nvd_core.farm.sections import Sections, cut, fault_of
from nvd_core.farm.shot_list import load_shots
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.manifest import read_manifest, write_manifest
from nvd_core.shot.shot import Shot


class TestCut:
    @pytest.mark.parametrize("count", [2, 8, 9, 24, 25, 300, 301, 5000, 4999])
    @pytest.mark.parametrize(("frames", "overlap"), [(300, 24), (24, 8), (8, 1), (9, 3)])
    def test_every_frame_is_in_one_or_two_and_rendered_once(self, count, frames, overlap):
        made = cut(count, Sections(frames, overlap), Path("x"), 7)
        shown = np.zeros(count, int)
        rendered = np.zeros(count, int)
        for section in made:
            shown[section.first - 7 : section.last - 6] += 1
            rendered[section.first - 7 : section.own - 6] += 1
            assert section.last - section.first + 1 <= frames or len(made) == 1
        assert (rendered == 1).all() and shown.min() == 1 and shown.max() <= 2
        assert (shown == 2).sum() == (len(made) - 1) * overlap
        assert [s.before for s in made] == [None, *(s.folder for s in made[:-1])]

    def test_what_three_would_show_is_refused(self):
        assert fault_of(Sections(30, 11)) and not fault_of(Sections(30, 10))


@pytest.fixture
def sections(tmp_path, synthetic) -> list[Shot]:
    """Two, of which the last 3 frames of one and the first of the other are the same frames."""
    synthetic.make_shot(tmp_path / "001.nvd", frames=7)
    shutil.copytree(tmp_path / "001.nvd", tmp_path / "002.nvd")
    manifest = read_manifest(tmp_path / "002.nvd")
    clip = replace(manifest.clip, first_frame=manifest.clip.frames - 3)
    write_manifest(tmp_path / "002.nvd", replace(manifest, clip=clip))
    made = [Shot.open(tmp_path / f"00{n}.nvd") for n in (1, 2)]
    for shot, colour in zip(made, ([255, 0, 0], [0, 0, 255]), strict=True):
        for name in shot.names:
            image = read_image(shot.texture_path(name)).copy()
            image[..., :3] = colour
            write_image(shot.edit_path(name), image)
    return made


def test_shared_frames_fade_and_others_are_the_sections_own(sections, tmp_path):
    one, two = sections
    was, own = list(render_frames(one)), list(render_frames(two))
    words = ["--out", str(tmp_path / "out" / "%05d.png"), "--start", "source"]
    assert main(["render", str(two.folder), *words, "--after", str(one.folder)]) == 0
    first = two.manifest.clip.first_frame
    for t in range(two.frames):
        expected = own[t]
        if t < 3:
            expected = faded(was[first + t], own[t], (t + 1) / 4)
            assert (expected != own[t]).any() and (expected != was[first + t]).any()
        np.testing.assert_array_equal(
            read_image(tmp_path / "out" / f"{first + t:05d}.png"), expected
        )


def test_a_draft_fades_too(sections, tmp_path):
    one, two = sections
    whole = tmp_path / "out" / "%05d.png"
    render(two, whole, after=one)
    render(two, tmp_path / "a.mp4", quality="draft", after=one)
    with av.open(str(tmp_path / "a.mp4")) as file:
        shown = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert len(shown) == two.frames
    for t, picture in enumerate(shown):
        expected = read_image(tmp_path / "out" / f"{t:05d}.png").astype(float)
        assert np.abs(picture - expected).mean() < 12, t


def test_an_image_is_left_until_either_section_changes(sections, tmp_path):
    one, two = sections
    out = tmp_path / "out" / "%05d.png"
    assert render(two, out, after=one)["unchanged"] == 0
    assert render(two, out, after=one)["unchanged"] == two.frames
    name = one.names[0]
    image = read_image(one.edit_path(name)).copy()
    image[..., :3] = 0, 255, 0
    write_image(one.edit_path(name), image)
    assert render(two, out, after=Shot.open(one.folder))["unchanged"] == two.frames - 3


def test_halves_are_rounded_and_floats_are_not():
    before, after = np.array([[[0, 255, 10]]], np.uint8), np.array([[[255, 0, 11]]], np.uint8)
    np.testing.assert_array_equal(faded(before, after, 0.25), [[[64, 191, 10]]])
    deep = np.array([[[65535]]], np.uint16)
    np.testing.assert_array_equal(faded(deep, deep, 1 / 3), deep)
    light = np.array([[[4.0]]], np.float32)
    np.testing.assert_array_equal(faded(light, 3 * light, 0.5), 2 * light)


def test_what_leads_nowhere_is_refused(sections, tmp_path):
    one, two = sections
    out = tmp_path / "out" / "%05d.png"
    with pytest.raises(NvdError, match="does not lead up"):
        render(one, out, after=two)
    with pytest.raises(NvdError, match="does not lead up"):
        render(one, out, after=one)
    with pytest.raises(NvdError, match="--layer cannot be rendered with --after"):
        render(two, out, layer=two.names[0], after=one)
    clip = replace(two.manifest.clip, rate=(50, 1))
    write_manifest(two.folder, replace(two.manifest, clip=clip))
    with pytest.raises(NvdError, match="not sections of one clip"):
        render(Shot.open(two.folder), out, after=one)
    assert not (tmp_path / "out").exists()


class TestJoined:
    """`nvd encode` of several sections."""

    @pytest.fixture
    def images(self, sections, tmp_path) -> Path:
        one, two = sections
        pattern = tmp_path / "out" / "%05d.png"
        render(one, pattern, frames=(0, 3), start="source")
        render(two, pattern, start="source", after=one)
        return pattern

    def test_all_frames_become_one_movie(self, sections, images, tmp_path, capsys):
        words = ["encode", *(str(s.folder) for s in sections), "--images", str(images)]
        out = tmp_path / "whole.mkv"
        assert main([*words, "--start", "source", "--codec", "ffv1", "--out", str(out)]) == 0
        assert "no sound and no uneven times" in capsys.readouterr().err
        with av.open(str(out)) as file:
            shown = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        assert len(shown) == 11
        for t, picture in enumerate(shown):
            np.testing.assert_array_equal(picture, read_image(tmp_path / f"out/{t:05d}.png"))

    def test_what_does_not_follow_is_refused(self, sections, images, tmp_path):
        out = tmp_path / "whole.mkv"
        words = ["--images", str(images), "--start", "source", "--out"]
        one, two = (str(section.folder) for section in sections)
        assert main(["encode", two, one, *words, str(out)]) == 2
        own = sections[0].frame_path(0).with_name("new.mkv")
        assert main(["encode", one, two, *words, str(own)]) == 2 and not own.exists()
        assert main(["encode", one, *words, str(out), "--source", "clip.mov"]) == 2
        assert not out.exists()
        (tmp_path / "out" / "00006.png").unlink()
        assert main(["encode", one, two, *words, str(out)]) == 2
        frame = sections[1].frame_path(0)
        before = frame.read_bytes()
        assert main(["encode", one, two, *words, str(frame.with_suffix(".mkv"))]) == 2
        assert frame.read_bytes() == before and not frame.with_suffix(".mkv").exists()


def test_paint_goes_on_from_section_to_section(sections, tmp_path, capsys):
    one, two = sections
    three = tmp_path / "003.nvd"
    shutil.copytree(two.folder, three)
    clip = replace(two.manifest.clip, first_frame=two.manifest.clip.first_frame + 4)
    write_manifest(three, replace(two.manifest, clip=clip))
    last = Shot.open(three)
    for shot in (two, last):
        for name in shot.names:
            shutil.copy(shot.texture_path(name), shot.edit_path(name))
    assert main(["carry", str(one.folder), str(two.folder), str(three), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [Path(said["to"]).name for said in result["sections"]] == ["002.nvd", "003.nvd"]
    for shot in (two, last):
        red = read_image(shot.edit_path("background"))[..., :3].reshape(-1, 3).astype(int)
        assert np.median(red[:, 0]) > 250 and np.median(red[:, 2]) < 5


def test_nothing_is_carried_where_a_later_one_is_painted(sections, tmp_path):
    one, two = sections
    for name in two.names:
        shutil.copy(two.texture_path(name), two.edit_path(name))
    three = tmp_path / "003.nvd"
    shutil.copytree(two.folder, three)
    clip = replace(two.manifest.clip, first_frame=two.manifest.clip.first_frame + 4)
    write_manifest(three, replace(two.manifest, clip=clip))
    last = Shot.open(three)
    write_image(last.edit_path("cat"), 255 - read_image(last.texture_path("cat")))
    before = two.edit_path("cat").read_bytes(), two.edit_path("dog").read_bytes()
    words = ["carry", str(one.folder), str(two.folder), str(three)]
    assert main(words) == 2
    assert (two.edit_path("cat").read_bytes(), two.edit_path("dog").read_bytes()) == before
    assert main([*words, "--over"]) == 0
    assert two.edit_path("cat").read_bytes() != before[0]


def test_carrying_ends_where_no_paint_is_left(sections, tmp_path, capsys):
    """Two others, of which the second shares frames with the first and shows none of its paint."""
    one, two = sections
    for shot in sections:
        for name in shot.names:
            shutil.copy(shot.texture_path(name), shot.edit_path(name))
    image = read_image(one.texture_path("dog")).copy()
    image[..., :3] = 0, 255, 0
    write_image(one.edit_path("dog"), image)
    manifest = read_manifest(two.folder)
    for folder, first in ((two.folder, 4), (tmp_path / "003.nvd", 8)):
        if not folder.exists():
            shutil.copytree(two.folder, folder)
        records = [r for r in manifest.layers if r.name != "dog"]
        clip = replace(manifest.clip, first_frame=first)
        write_manifest(folder, replace(manifest, clip=clip, layers=tuple(records)))
    words = ["carry", str(one.folder), str(two.folder), str(tmp_path / "003.nvd"), "--json"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "no paint reaches" in said and "could not be carried" in said


class TestMasks:
    """A section reads its own part of the masks, so they have to say which frame each is of."""

    @pytest.fixture
    def clip(self, tmp_path) -> Path:
        for t in range(30):
            write_image(tmp_path / f"clip/{t:04d}.png", np.full((16, 24, 3), 8 * t, np.uint8))
        return tmp_path / "clip"

    def plan(self, clip: Path, mask: str, frames: str = ""):
        path = clip.parent / "show.yaml"
        path.write_text(
            f"shots: {{a: {{source: clip, masks: {{ball: '{mask}'}}, {frames}"
            "sections: {frames: 10, overlap: 2}}}"
        )
        return load_shots(path).shots[0]

    def masks(self, clip: Path, numbers: range) -> str:
        mask = np.zeros((16, 24, 1), np.uint8)
        mask[4:9, 4:9] = 255
        for number in numbers:
            write_image(clip.parent / f"masks/{number:04d}.png", mask)
        return "masks"

    def test_the_mask_of_one_frame_serves_no_second_section(self, clip):
        self.masks(clip, range(1))
        for mask in ("masks/0000.png", "!masks/0000.png", "masks"):
            with pytest.raises(NvdError, match="does not serve a clip in sections"):
                self.plan(clip, mask).tasks("train")
        whole = self.plan(clip, "masks", "frames: 0-9, ")
        assert len(whole.tasks("train")) == 1  # there is but one

    def test_masks_of_all_frames_and_numbered_ones_serve(self, clip):
        assert len(self.plan(clip, self.masks(clip, range(30))).tasks("train")) == 4
        assert self.plan(clip, "maskrcnn:dog").tasks("train")
        shutil.rmtree(clip.parent / "masks")
        numbered = self.plan(clip, self.masks(clip, range(5, 25)), "frames: 5-24, ")
        assert len(numbered.tasks("train")) == 3

    def test_masks_of_a_range_in_order_do_not(self, clip):
        mask = self.masks(clip, range(100, 120))
        with pytest.raises(NvdError, match="20 masks, of a part of the clip's 30"):
            self.plan(clip, mask, "frames: 5-24, ").tasks("train")


def test_numbers_below_0_are_no_options(tmp_path, monkeypatch):
    """`--frames -5-3` would be taken for an option."""
    write_image(tmp_path / "clip/0.png", np.zeros((16, 24, 3), np.uint8))
    for t in range(1, 30):
        write_image(tmp_path / f"clip/{t}.png", np.zeros((16, 24, 3), np.uint8))
    info = SimpleNamespace(own_numbers=list(range(-5, 7)), frames=12, first_frame=0)
    monkeypatch.setattr("nvd_core.farm.long_plan.clip_of", lambda folder: info)
    path = tmp_path / "show.yaml"
    path.write_text(
        "shots: {a: {source: clip, out: 'o/%05d.png', sections: {frames: 12, overlap: 2}}}"
    )
    for task in load_shots(path).shots[0].tasks("render"):
        parser = argparse.ArgumentParser()
        add_frames(parser)
        assert parser.parse_known_args(task.words)[0].frames[0] <= 6
