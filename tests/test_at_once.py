"""A folder that is painted on while it gets better: `nvd decompose --at-once`, `nvd former`."""

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from nvd_core.begun import is_finished, is_paintable
from nvd_core.cli.main import main
from nvd_core.editing.exchange import BRUSH, go_back, is_painting, read_former, take_paint
from nvd_core.fields.saved_model import load_model
from nvd_core.job import REFINING, Job
from nvd_core.media.images import read_image, write_image
from nvd_core.pipeline import decompose, resume
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import JsonProgress, Progress
from nvd_core.settings import Settings, load_settings
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import read_stack

pytestmark = pytest.mark.slow


class Artist(Progress):
    """Does something as soon as a state can be painted on, by its number; tells what was said."""

    def __init__(self, does: dict, cancel: tuple[str, int] | None = None) -> None:
        super().__init__()
        self.does, self.said, self.seen = does, [], []
        self.cancel_at, self.now = cancel, ""

    def ready(self, folder, done, planned):
        super().ready(folder, done, planned)
        self.seen.append(done)
        self.does.get(done, lambda _: None)(Path(folder))

    def caution(self, text):
        self.said.append(text)

    def message(self, text):
        self.said.append(text)

    def stage(self, name, total, done=0):
        self.now = name
        super().stage(name, total, done)

    def update(self, done, **facts):
        refining = self.seen and self.cancel_at and self.now == self.cancel_at[0]
        if refining and done >= self.cancel_at[1]:
            raise Cancelled


@pytest.fixture(scope="module")
def asked(tiny_clip, tmp_path_factory):
    """`asked`(): the job and the settings of the tiny clip, at once."""
    clip = tiny_clip.write_with_settings(tmp_path_factory.mktemp("clip"))

    def job() -> tuple[Job, Settings]:
        masks = [["disc", str(clip / "masks")]]
        return Job(str(clip / "frames"), masks, at_once=True), load_settings(clip / "small.yaml")

    return job


def paint(folder: Path) -> None:
    """A stroke on both layers, and a word in the stack."""
    shot = Shot.open(folder)
    for name in shot.names:
        image = read_image(shot.edit_path(name)).copy()
        height, width = image.shape[:2]
        image[height // 3 : height // 2, width // 3 : width // 2] = 255, 20, 20, 255
        write_image(shot.edit_path(name), image)
    word = ["edits", "add", str(folder), "--layer", "background", "--text", "A", "--name", "word"]
    assert main(word) == 0, "the folder's lock is free while it trains"


@pytest.fixture(scope="module")
def kept() -> dict:
    """What the states showed, by number: red pixels of a frame, and the manifest."""
    return {}


@pytest.fixture(scope="module")
def refined(asked, kept, tmp_path_factory) -> Shot:
    """Painted as soon as the draft stood, then refined to the end; not to be changed."""
    folder = tmp_path_factory.mktemp("at_once") / "shot.nvd"

    def look(number: int):
        def at(folder: Path) -> None:
            if number == 0:
                paint(folder)
            shot = Shot.open(folder)
            kept[number] = red(shot, 4), json.loads((folder / "manifest.json").read_text())
            assert main(["values", str(folder), "--visibility", "disc=0.9"]) == 0
            assert is_paintable(folder) and not is_finished(folder)

        return at

    artist = Artist({0: look(0), 1: look(1)})
    facts = decompose(folder, *asked(), artist)
    assert artist.seen == [0, 1] and facts["refinement"] == 2
    return Shot.open(folder)


def red(shot: Shot, frame: int) -> np.ndarray:
    """Where the rendered frame is red and the plate is not."""
    from nvd_core.editing.render import render_frames

    picture = next(render_frames(shot, frames=(frame, frame))).astype(int)
    plate = read_image(shot.frame_path(frame))[..., :3].astype(int)
    return (picture[..., 0] - picture[..., 1] - (plate[..., 0] - plate[..., 1])) > 80


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def middle(where: np.ndarray) -> np.ndarray:
    """Row and column, in pixels."""
    return np.argwhere(where).mean(0)


def files(shot: Shot) -> dict[str, bytes]:
    """What a state consists of, but for the networks and maps."""
    paths = [
        path(shot, name) for name in shot.names for path in (Shot.edit_path, Shot.texture_path)
    ]
    return {str(path.relative_to(shot.folder)): path.read_bytes() for path in paths}


def test_the_draft_is_a_folder_that_says_what_it_is(refined, kept):
    assert kept[0][1]["refinement"] == {"done": 0, "planned": 2}
    assert kept[0][1]["maps"] == "maps/%05d.exr" and "networks" not in kept[0][1]
    assert kept[1][1]["refinement"] == {"done": 1, "planned": 2}


def test_the_paint_stays_where_it_was(refined, kept):
    assert kept[0][0].sum() > 30
    assert alike(kept[0][0], kept[1][0]) > 0.7
    for later in (kept[1][0], red(refined, 4)):  # a draft of 48 lines is off by a pixel itself
        assert np.abs(middle(later) - middle(kept[0][0])).max() < 1.5
        assert alike(kept[0][0], later) > 0.6
    assert [entry.name for entry in read_stack(refined).entries] == ["word"]


def test_in_the_end_it_is_a_finished_folder(refined):
    folder = refined.folder
    refined.check()
    assert refined.manifest.refinement is None and refined.manifest.networks == "refined.2"
    assert is_finished(folder) and REFINING in Job.load(folder).done
    assert not (folder / "work").exists() and not (folder / "maps").exists()
    assert load_model(refined.networks).names == refined.names
    with pytest.raises(NvdError, match="nothing to resume"):
        resume(folder, Progress())


def test_no_output_goes_into_a_state(refined):
    for state in ("refined.1/maps", "refined.2/textures", "refined.2"):
        out = refined.folder / state / "%05d.png"
        assert main(["render", str(refined.folder), "--out", str(out)]) == 2
        assert not list(out.parent.glob("0*.png"))


def test_the_same_command_again_does_nothing(refined, asked):
    assert decompose(refined.folder, *asked(), Progress())["finished_before"]
    job, settings = asked()
    job.at_once = False
    with pytest.raises(NvdError, match="another job"):
        decompose(refined.folder, job, settings, Progress())


@pytest.fixture
def copy(refined, tmp_path) -> Shot:
    shutil.copytree(refined.folder, tmp_path / "shot.nvd")
    return Shot.open(tmp_path / "shot.nvd")


def test_back_and_back_again_bit_for_bit(copy):
    now = files(copy)
    before = go_back(copy.folder)
    assert before.manifest.networks == "refined.1" == Shot.open(copy.folder).manifest.networks
    then = files(before)
    assert set(then) != set(now)
    again = go_back(copy.folder)
    assert again.manifest == copy.manifest and files(again) == now
    assert files(go_back(copy.folder)) == then
    assert main(["former", str(copy.folder), "--back"]) == 0


def test_back_takes_along_what_was_painted_since(copy):
    path = copy.edit_path("background")
    image = read_image(path).copy()
    image[: image.shape[0] // 2] = 255, 20, 20, 255
    write_image(path, image)
    wanted, other = red(copy, 4), read_image(read_of(copy, "disc"))
    before = go_back(copy.folder)
    assert wanted.sum() > 300 and alike(wanted, red(before, 4)) > 0.8
    np.testing.assert_array_equal(read_image(before.edit_path("disc")), other)


def read_of(shot: Shot, name: str) -> Path:
    """The edit of the state before."""
    former = read_former(shot).manifest
    return Shot(shot.folder, former).edit_path(name)


def test_back_is_refused_while_pins_hold_the_maps(copy):
    """Their points are those of the textures that would go."""
    words = ["--layer", "background", "--name", "wall", "--at", "0,6,6", "--to", "3,7,6"]
    assert main(["pins", "add", str(copy.folder), *words]) == 0
    before = copy.manifest
    with pytest.raises(NvdError, match="pins hold the maps"):
        go_back(copy.folder)
    assert Shot.open(copy.folder).manifest == before
    assert main(["pins", "remove", str(copy.folder), "--all"]) == 0
    assert go_back(copy.folder).manifest.networks != before.networks


def test_paint_that_was_saved_too_late_is_taken_along(copy):
    """A program had it when the refinement came, and wrote it where its image was."""
    path, other = read_of(copy, "background"), read_image(copy.edit_path("disc"))
    image = read_image(path).copy()
    image[: image.shape[0] // 2] = 255, 20, 20, 255
    write_image(path, image)
    before = red(copy, 4)
    assert take_paint(copy.folder)["taken"] == ["background"]
    assert red(copy, 4).sum() > before.sum() + 200
    np.testing.assert_array_equal(read_image(copy.edit_path("disc")), other)
    write_image(path, image[::-1].copy())
    write_image(copy.edit_path("background"), read_image(copy.edit_path("background"))[::-1].copy())
    with pytest.raises(NvdError, match="before and after"):
        take_paint(copy.folder)


def test_the_former_state_can_be_removed(copy):
    assert main(["former", str(copy.folder), "--remove"]) == 0
    assert not (copy.folder / "refined.1").exists()
    copy.check()
    with pytest.raises(NvdError, match="no former state"):
        go_back(copy.folder)


@pytest.mark.parametrize(("stage", "step"), [("training", 20), ("maps", 2), ("carrying", 1)])
def test_cancelled_it_is_a_draft_and_goes_on(refined, asked, stage, step, tmp_path):
    folder = tmp_path / "shot.nvd"
    with pytest.raises(Cancelled):
        decompose(folder, *asked(), Artist({0: paint}, (stage, step)))
    draft = Shot.open(folder)
    draft.check()
    assert draft.manifest.refinement.done == 0
    assert main(["render", str(folder), "--out", str(tmp_path / "%05d.png")]) == 0
    resume(folder, Progress())
    for name in refined.names:
        expected = read_image(refined.texture_path(name))
        np.testing.assert_array_equal(read_image(Shot.open(folder).texture_path(name)), expected)


def test_it_waits_for_unsaved_paint(asked, tmp_path):
    folder = tmp_path / "shot.nvd"
    held = []

    def hold(folder: Path) -> None:
        """Somebody paints; as soon as that is waited for, it is saved."""
        (folder / BRUSH).touch()

    class Painter(Artist):
        def message(self, text):
            super().message(text)
            if "waits until" in text:
                held.append(Shot.open(folder).manifest.refinement.done)
                timer = threading.Timer(0.2, (folder / BRUSH).unlink)
                timer.start()

    decompose(folder, *asked(), Painter({0: hold}))
    assert held == [0] or (not held and not is_painting(folder))
    assert held, "it did not wait"
    assert Shot.open(folder).manifest.refinement is None


def test_a_folder_that_was_changed_meanwhile_is_left(asked, tmp_path):
    folder = tmp_path / "shot.nvd"
    artist = Artist({0: lambda at: main(["textures", str(at), "--size", "2"])})
    decompose(folder, *asked(), artist)
    shot = Shot.open(folder)
    assert shot.manifest.texture_size == 2 and shot.manifest.networks is None
    assert any("is not put in" in said for said in artist.said)
    assert is_finished(folder)


def test_a_folder_with_pins_is_left(asked, tmp_path):
    """Its maps were mended by hand, and the pins are points of textures that would go."""
    folder = tmp_path / "shot.nvd"

    def pin(at: Path) -> None:
        words = ["--layer", "background", "--name", "wall", "--at", "0,6,6", "--to", "3,7,6"]
        assert main(["pins", "add", str(at), *words]) == 0

    artist = Artist({0: pin})
    decompose(folder, *asked(), artist)
    assert any("pins hold the maps" in said for said in artist.said)
    assert Shot.open(folder).manifest.networks is None and is_finished(folder)


def test_programs_are_told(asked, tmp_path, capsys):
    folder = tmp_path / "shot.nvd"
    decompose(folder, *asked(), JsonProgress())
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ready = [event for event in events if event["event"] == "ready"]
    assert [event["refinement"] for event in ready] == [0, 1]
    assert ready[0]["folder"] == str(folder) and ready[0]["planned"] == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--at-once", "--draft"],
        ["--at-once", "--shots"],
        ["--at-once", "--until", "training"],
        ["--draft", "--preset", "fine"],
    ],
)
def test_what_does_not_go_together_is_refused(words, tmp_path):
    assert main(["decompose", "clip", "--out", str(tmp_path / "x"), *words]) == 2
    assert not (tmp_path / "x").exists()
