"""What the user cannot get back is never an output's name: plates, masks, edits, the folder."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.own_files import check_output
from nvd_core.job import Job
from nvd_core.media.clip import open_clip
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.all_or_none import all_or_none
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.manifest import write_manifest
from nvd_core.shot.shot import Shot

GREY = np.full((36, 48, 3), 77, np.uint8)


@pytest.fixture
def shot(tmp_path, synthetic) -> Shot:
    """A folder that was made of plates/0000.png on and of masks/0000.png on."""
    for t in range(3):
        write_image(tmp_path / "plates" / f"{t:04d}.png", GREY)
        write_image(tmp_path / "masks" / f"{t:04d}.png", GREY[..., :1])
    return made_of(synthetic.make_shot(tmp_path / "shot.nvd"), tmp_path / "plates")


def made_of(shot: Shot, source: Path) -> Shot:
    """The shot with another source in its manifest and its job."""
    clip = replace(shot.manifest.clip, source=str(source))
    write_manifest(shot.folder, replace(shot.manifest, clip=clip))
    masks = shot.folder.parent / "masks"
    Job(source=str(source), masks=[["dog", str(masks)], ["cat", "maskrcnn:cat"]]).save(shot.folder)
    return Shot.open(shot.folder)


def every_file(folder: Path) -> dict[Path, tuple]:
    """All files with their bytes, and whether they are links."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.is_symlink()) for path in files}


def check_refused(capsys, shot: Shot, out: Path, *more: object) -> str:
    """`nvd render` to `out` writes nothing, ends with exit code 2 and says why."""
    before = every_file(shot.folder.parent)
    words = "render", shot.folder, "--out", out, *more
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr().err
    assert "what to do: choose another folder" in said
    assert every_file(shot.folder.parent) == before
    return said


@pytest.mark.parametrize("source", ["plates", "plates/%04d.png", "plates/####.png"])
def test_plates(source, shot, tmp_path, capsys):
    shot = made_of(shot, tmp_path / source)
    for out in ("plates/%04d.png", "plates/####.png", "plates/../plates/%04d.png"):
        assert "the clip's source" in check_refused(capsys, shot, tmp_path / out)
    assert "the clip's source" in check_refused(
        capsys, shot, tmp_path / "plates/%04d.png", "--again"
    )


def test_a_folder_of_plates_takes_no_images_of_other_names(shot, tmp_path, capsys):
    said = check_refused(capsys, shot, tmp_path / "plates" / "new_%04d.png")
    assert "taken for a part" in said
    assert main(["render", str(shot.folder), "--out", str(tmp_path / "plates/all.mp4")]) == 0


def test_plates_that_only_the_job_names(shot, tmp_path, capsys):
    job = Job.load(shot.folder)
    shot = made_of(shot, tmp_path / "moved")
    job.save(shot.folder)
    assert "the clip's source" in check_refused(capsys, shot, tmp_path / "plates" / "%04d.png")


def test_a_folder_whose_job_is_lost_or_damaged_still_knows_its_source(shot, tmp_path, capsys):
    path = shot.folder / "job.json"
    for text in ("{", json.dumps(json.loads(path.read_text()) | {"masks": 7})):
        path.write_text(text)
        assert "the clip's source" in check_refused(capsys, shot, tmp_path / "plates" / "%04d.png")


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["link", "hard link"])
def test_other_names_of_a_plate(link, shot, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    link(tmp_path / "plates" / "0001.png", tmp_path / "out" / "0002.png")
    said = check_refused(capsys, shot, tmp_path / "out" / "%04d.png")
    assert "0002.png" in said and "0001.png" in said


def test_a_linked_folder_of_plates(shot, tmp_path, capsys):
    (tmp_path / "linked").symlink_to(tmp_path / "plates")
    check_refused(capsys, shot, tmp_path / "linked" / "%04d.png")
    check_refused(capsys, made_of(shot, tmp_path / "linked"), tmp_path / "plates" / "%04d.png")


def test_a_movie(shot, tmp_path, capsys):
    source = tmp_path / "clip.mp4"
    assert main(["render", str(shot.folder), "--out", str(source)]) == 0
    check_refused(capsys, made_of(shot, source), source)


def test_masks(shot, tmp_path, capsys):
    assert "the mask of dog" in check_refused(capsys, shot, tmp_path / "masks" / "%04d.png")


def test_an_edit_that_is_given(shot, tmp_path, capsys):
    edit = tmp_path / "edits" / "00001.png"
    write_image(edit, read_image(shot.texture_path("dog")))
    said = check_refused(capsys, shot, tmp_path / "edits" / "%05d.png", "--edit", f"dog={edit}")
    assert "the edit of dog" in said


@pytest.mark.parametrize("folder", ["frames", "maps", "textures", "edits", "masks/dog", "work"])
def test_the_decomposition(folder, shot, capsys):
    (shot.folder / folder).mkdir(parents=True, exist_ok=True)
    (shot.folder.parent / "linked").symlink_to(shot.folder / folder)
    for parent in (shot.folder / folder, shot.folder.parent / "linked"):
        said = check_refused(capsys, shot, parent / "%05d.png")
        assert "belongs to the decomposition" in said


def test_camera_and_paint_ask_too(shot, tmp_path, capsys):
    before = every_file(tmp_path)
    words = "camera", shot.folder, "--hold", 0, "--out", tmp_path / "plates" / "%04d.png"
    assert main([str(word) for word in words]) == 2
    assert "the clip's source" in capsys.readouterr().err
    assert every_file(tmp_path) == before
    paint = np.dstack([GREY, np.zeros_like(GREY[..., :1])])
    paint[13:23, 2:20, 3] = 255
    write_image(tmp_path / "paint" / "dog.png", paint)
    before = every_file(tmp_path)
    for out, word in (("paint", "the paint"), ("plates", "the clip's source")):
        picture = tmp_path / "paint" / "dog.png"
        words = "paint", shot.folder, "--frame", 1, "--image", picture, "--out", tmp_path / out
        assert main([str(word) for word in words]) == 2
        assert word in capsys.readouterr().err
    assert every_file(tmp_path) == before


def test_another_machine_is_not_asked_what_it_holds(shot, tmp_path, monkeypatch):
    """Only Windows has such paths; here its way of reading them is used."""
    import ntpath

    shot = made_of(shot, Path("//stranger/share/plates"))
    asked = []
    is_dir = Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path: asked.append(str(path)) or is_dir(path))
    monkeypatch.setattr("os.path.splitdrive", ntpath.splitdrive)
    check_output(shot, [tmp_path / "new.mp4"], {})
    assert asked and not any("stranger" in path for path in asked)


@pytest.mark.parametrize("name", ["12:30.mp4", "pipe:1.mov", "concat:a.mkv", "http:b.mp4"])
def test_movies_named_like_an_address(name, shot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["render", str(shot.folder), "--out", name]) == 0
    assert (tmp_path / name).is_file()
    assert len(open_clip(name)) == len(open_clip(tmp_path / name)) == 3


@pytest.mark.parametrize("name", ["12:30_%02d.png", "http:%d.exr", "a?b%d.tif", "file:%d.jpg"])
def test_images_named_like_an_address(name, shot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["render", str(shot.folder), "--out", name]) == 0
    assert len([path for path in tmp_path.iterdir() if path.suffix == Path(name).suffix]) == 3
    assert len(open_clip(name)) == 3


class TestAllOrNone:
    @pytest.fixture
    def paths(self, tmp_path) -> list[Path]:
        """Three files, of which the last is not there yet."""
        paths = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
        for path in paths[:2]:
            path.write_text("old")
        return paths

    def write(self, paths: list[Path]) -> None:
        with all_or_none(paths) as temporaries:
            for temporary in temporaries:
                temporary.write_text("new")

    def test_all(self, paths):
        self.write(paths)
        assert [path.read_text() for path in paths] == ["new"] * 3
        assert sorted(paths[0].parent.iterdir()) == paths

    @pytest.mark.parametrize("links", [True, False])
    @pytest.mark.parametrize("fails", [1, 2, 3])
    def test_none(self, fails, links, paths, monkeypatch):
        """The rename of one of them fails; the files, and the other renames, are real."""
        replace, done = os.replace, []

        def refuse(source, target):
            done.append(target)
            if len(done) == fails:
                raise PermissionError(13, "Permission denied")
            replace(source, target)

        monkeypatch.setattr(os, "replace", refuse)
        if not links:
            monkeypatch.delattr(os, "link")
            monkeypatch.setattr(os, "link", no_links, raising=False)
        with pytest.raises(NvdError, match="cannot write"):
            self.write(paths)
        assert len(done) >= fails
        assert [path.read_text() for path in paths[:2]] == ["old"] * 2
        assert sorted(paths[0].parent.iterdir()) == paths[:2]

    def test_what_cannot_be_put_back_is_told(self, paths, monkeypatch):
        replace, done = os.replace, []

        def refuse(source, target):
            done.append(target)
            if len(done) > 2:
                raise PermissionError(13, "Permission denied")
            replace(source, target)

        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(NvdError, match="cannot put back") as told:
            self.write(paths)
        (copy,) = [path for path in paths[0].parent.iterdir() if "kept" in path.name]
        assert str(copy) in told.value.remedy and copy.read_text() == "old"

    def test_a_link_is_put_back_as_one(self, paths, tmp_path):
        (tmp_path / "there").mkdir()
        target = tmp_path / "there" / "b.txt"
        os.replace(paths[1], target)
        paths[1].symlink_to(target)
        with pytest.raises(KeyError), all_or_none(paths) as temporaries:
            os.replace(temporaries[1].with_name("a.txt"), temporaries[1])
            raise KeyError
        assert paths[1].is_symlink() and target.read_text() == "old"

    def test_interrupted(self, paths):
        with pytest.raises(KeyboardInterrupt), all_or_none(paths) as temporaries:
            temporaries[0].write_text("new")
            raise KeyboardInterrupt
        assert [path.read_text() for path in paths[:2]] == ["old"] * 2
        assert sorted(paths[0].parent.iterdir()) == paths[:2]


def no_links(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")
