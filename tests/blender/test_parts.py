"""Parts set by hand in the panel: listed, drawn, given to the engine; and those of a shot."""

import json
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest

from blender_addon import headless
from blender_addon.decompose import better_masks, clicking, eye, found_objects, part_list
from blender_addon.decompose.job import decompose_job
from blender_addon.decompose.strip_job import Object, decompose_strip
from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner
from blender_addon.paint import pins
from blender_addon.shot import shots
from blender_addon.shot.folder import ShotError, read_shot
from blender_addon.ui import panel_parts, refine_operators

pytestmark = pytest.mark.usefixtures("extension")


@pytest.fixture
def strip(crossing_strip):
    """A strip from frame 11 on, and an object in its list with a mask file."""
    bpy.ops.nvd.add_object()
    walker = crossing_strip.nvd_decompose.objects[0]
    walker.name, walker.kind, walker.path = "walker", "FILE", "/masks/walker"
    return crossing_strip


def with_line(mask):
    """A closed line in a mask."""
    clicking.put_lines(mask, 176, 100, [[(20, 10), (80, 10), (80, 60), (20, 60)]])
    return mask


def words_of(job) -> list[str]:
    words = job.plan["first_steps"][-1]["command"]
    return [words[n + 1] for n, word in enumerate(words) if word == "--part"]


def test_parts_are_listed_in_order(strip):
    walker = strip.nvd_decompose.objects[0]
    for name in ("leg_near", "leg_far", "arm"):
        bpy.ops.nvd.add_part()
        walker.parts[-1].name = name
    bpy.ops.nvd.move_part(by=-1)
    bpy.ops.nvd.move_part(by=-1)
    bpy.ops.nvd.move_part(by=-1)  # there is no room any more
    assert [part.name for part in walker.parts] == ["arm", "leg_near", "leg_far"]
    assert part_list.chosen(strip, part=True).name == "arm"
    assert part_list.full_name(strip, walker.parts[2]) == "walker.leg_far"
    bpy.ops.nvd.remove_part()
    assert [part.name for part in walker.parts] == ["leg_near", "leg_far"]
    strip.nvd_decompose.parts_of = "BACKGROUND"
    bpy.ops.nvd.add_part()
    assert [name for name, _ in part_list.named(strip)] == [
        "walker",
        "walker.leg_near",
        "walker.leg_far",
        "background.part",
    ]
    strip.nvd_decompose.parts_of, strip.nvd_decompose.active = "OBJECT", 5
    with pytest.raises(RuntimeError, match="no object to have parts"):
        bpy.ops.nvd.add_part()


def test_a_part_drawn_on_one_frame_goes_to_the_engine(strip, tmp_path, tiny_job, reference):
    """By the panel's own buttons, to the picture that the engine is given."""
    walker = strip.nvd_decompose.objects[0]
    bpy.ops.nvd.add_part()
    walker.parts[0].name = "leg"
    with pytest.raises(RuntimeError, match="the part leg has no mask"):
        bpy.ops.nvd.decompose()
    bpy.context.scene.frame_set(14)
    assert bpy.ops.nvd.draw_mask(part=True) == {"FINISHED"}
    leg = walker.parts[0]
    assert (leg.kind, leg.frame, leg.mask.name) == ("MASK", 14, "leg") and walker.mask is None
    with_line(leg.mask)
    bpy.context.scene.frame_set(17)
    bpy.ops.nvd.draw_key(part=True)
    with_line(leg.keys_drawn[0].mask)
    strip.nvd_decompose.parts_of = "BACKGROUND"
    bpy.ops.nvd.add_part()
    post = strip.nvd_decompose.parts[0]
    post.name, post.kind, post.path = "post", "FILE", str(tmp_path / "post")
    assert bpy.ops.nvd.decompose() == {"FINISHED"}
    job = runner.queue.jobs[-1]
    assert words_of(job) == [
        f"walker.leg={job.folder / 'parts/walker.leg'}",
        f"background.post={tmp_path / 'post'}",
    ]
    job.plan["first_steps"] = [s for s in job.plan["first_steps"] if s["title"] == "preparing"]
    job.start()
    tiny_job.tick_until(lambda: job.ended, job.poll)
    assert job.state == "done", job.full_log()
    drawn = sorted(job.folder.glob("parts/walker.leg/*.png"))
    assert [path.name for path in drawn] == ["mask_00003.png", "mask_00006.png"]
    mask = reference.load(drawn[0])[..., 0]
    assert mask[20:50, 30:70].min() > 0.99 and mask[70:].max() < 0.01


def test_what_cannot_be_is_said_before_anything_runs(strip, tmp_path):
    leg = Object("leg", path="/masks/leg")
    walker = {"path": "/masks/walker", "parts": [leg]}

    def refused(said, *objects, **options):
        with pytest.raises(AddonError, match=said):
            decompose_strip(strip, tmp_path / "out.nvd", objects, **options)

    refused("parts and views in time", Object("walker", windows=3, **walker))
    refused("one shot", Object("walker", **walker), shots=True)
    refused("two parts are called", Object("walker", path="m", parts=[leg, leg]))
    refused("called rest", Object("walker", path="m", parts=[Object("Rest", path="m")]))
    refused("cannot be the name", Object("walker", path="m", parts=[Object("l.g", path="m")]))
    refused("the object leg has no mask", Object("walker", path="m", parts=[Object("leg")]))
    with pytest.raises(AddonError, match="a part of cat, which there is not"):
        decompose_job("a.mp4", tmp_path / "out.nvd", parts=[("cat.leg", "m")], python=Path("p"))
    assert not runner.queue.jobs


def test_lost_frames_of_a_part_are_shown_with_it(strip, tmp_path):
    part = part_list.add_part(strip)
    part.name = "leg"
    out = tmp_path / "done.nvd"
    out.mkdir()
    (out / "job.json").write_text(json.dumps({"needs_eye": {"walker.leg": [2, 3]}}))
    found_objects.note_lost(strip, out)
    assert eye.from_text(part.needs_eye) == [2, 3]
    assert not strip.nvd_decompose.objects[0].needs_eye
    bpy.context.scene.frame_set(11)
    bpy.ops.nvd.to_eye(by=1, part=True)
    assert bpy.context.scene.frame_current == 13


class Layout:
    """What a panel draws, as texts."""

    def __init__(self, said):
        self.said = said

    def __getattr__(self, name):
        if name in ("row", "column", "box", "grid_flow"):
            return lambda *_args, **_words: self
        return lambda *_args, text="", **_words: self.said.append(text) or SimpleNamespace()


def test_the_panel_says_what_parts_do_not_work_with(strip):
    said: list[str] = []
    context = bpy.context

    def drawn():
        said.clear()
        panel_parts.NVD_PT_parts.draw(SimpleNamespace(**PANEL, layout=Layout(said)), context)
        return " | ".join(filter(None, said))

    limits = panel_parts.NVD_PT_parts._draw_limits
    finding = panel_parts.NVD_PT_parts._draw_finding
    ticked = panel_parts.NVD_PT_parts._draw_ticked
    PANEL = {
        "_draw_limits": lambda *args: limits(None, *args),
        "_draw_ticked": lambda *args: ticked(None, *args),
        "_draw_finding": lambda *args: finding(None, *args),
    }
    assert "moves as one sheet" in drawn()
    bpy.ops.nvd.add_part()
    assert "No pins and no views" in drawn() and "Parts or views" not in drawn()
    assert "Not looked for" not in drawn()
    strip.nvd_decompose.objects[0].find_parts = True
    assert "Not looked for: those in the list" in drawn()
    strip.nvd_decompose.objects[0].windows = 3
    assert "Parts or views, not both" in drawn()
    strip.nvd_decompose.shots = True
    assert "Several Shots knows no parts" in drawn()


@pytest.fixture
def entry(folder):
    """A shot whose toy has two parts, the rest and an arm."""
    manifest = json.loads((folder / "manifest.json").read_text())
    boxes = {"rest": [0.0, 0.0, 0.5, 1.0], "arm": [0.5, 0.0, 1.0, 1.0]}
    toy = next(layer for layer in manifest["layers"] if layer["name"] == "toy")
    toy["parts"] = [{"name": name, "box": box} for name, box in boxes.items()]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    entry = shots.add_shot(folder)
    entry.active_layer = list(entry.layers.keys()).index("toy")
    return entry


def test_a_layer_says_its_parts_and_takes_no_pin(entry):
    said: list[str] = []
    refine_operators.draw_parts(Layout(said), entry, entry.layers["toy"])
    assert any("rest, arm" in text for text in said)
    said.clear()
    refine_operators.draw_parts(Layout(said), entry, entry.layers["background"])
    assert not said
    with pytest.raises(AddonError, match="has parts"):
        pins.place(entry, 10, 10, 0)


def test_a_part_is_drawn_for_a_refinement(entry, tmp_path):
    """One that the layer has begins with its outline there; a new one is empty."""
    bpy.context.scene.frame_set(1)
    with pytest.raises(RuntimeError, match="no name"):
        bpy.ops.nvd.draw_part()
    bpy.ops.nvd.draw_part(part="arm")
    bpy.ops.nvd.draw_part(part="leg")
    for other in ("Leg", "ARM"):  # that of the shot, and one that is drawn
        with pytest.raises(RuntimeError, match="two parts are called"):
            bpy.ops.nvd.draw_part(part=other)
    assert better_masks.drawn_parts(entry, "toy") == ["toy.arm", "toy.leg"]
    arm, leg = (better_masks.drawn_of(entry, f"toy.{name}")[0] for name in ("arm", "leg"))
    assert better_masks.is_outlined(arm.mask) and not better_masks.is_outlined(leg.mask)
    with pytest.raises(AddonError, match="no closed line"):
        better_masks.masks_of(entry, "toy.leg", tmp_path / "leg", 10)
    with_line(leg.mask)
    made = better_masks.masks_of(entry, "toy.leg", tmp_path / "leg", 10)
    assert not made.copies and made.parts[0]["frames"] == [[0, "mask_00000.png"]]
    bpy.ops.nvd.remove_better_mask(layer="toy", part="arm", frame=0)
    assert better_masks.drawn_parts(entry) == ["toy.leg"]
    assert bpy.ops.nvd.refine() == {"FINISHED"}
    job = runner.queue.jobs[-1]
    job.cancel()
    assert words_of(job) == [f"toy.leg={job.folder / 'masks/toy.leg'}"]
    assert "--mask" not in job.plan["first_steps"][-1]["command"]


def test_parts_are_looked_for_where_that_is_ticked(strip, tmp_path, engine):
    walker, said = strip.nvd_decompose.objects[0], []
    panel = SimpleNamespace(layout=Layout(said))
    draw = panel_parts.NVD_PT_parts._draw_finding

    def drawn(background=False):
        said.clear()
        draw(None, panel.layout, walker, background, part_list.trouble(strip))
        return " | ".join(filter(None, said))

    assert "one sheet" in drawn() and "one sheet" in drawn(background=True)
    walker.windows = 3
    assert "in each view" in drawn() and "in each view" in drawn(background=True)
    walker.windows = 0
    assert "in each view" not in drawn()
    walker.find_parts = True
    assert "Limbs are looked for" in drawn() and "Parts or views" not in drawn()
    strip.nvd_decompose.shots = True
    assert part_list.trouble(strip) == ""  # each shot finds its own
    strip.nvd_decompose.shots = False
    walker.windows = 3
    assert "Parts or views" in drawn()
    with pytest.raises(RuntimeError, match="parts and views in time"):
        bpy.ops.nvd.decompose()
    walker.windows = 1
    assert bpy.ops.nvd.decompose() == {"FINISHED"}
    words = runner.queue.jobs[-1].plan["first_steps"][-1]["command"]
    assert words[words.index("--find-parts-of") + 1] == "walker"
    part_list.add_part(strip).path = "/masks/leg"
    walker.parts[0].kind = "FILE"
    strip.nvd_decompose.out = str(tmp_path / "other.nvd")
    assert bpy.ops.nvd.decompose() == {"FINISHED"}  # drawn ones take their place
    words = runner.queue.jobs[-1].plan["first_steps"][-1]["command"]
    assert "--find-parts-of" not in words and "--part" in words


def test_the_background_has_views_in_time(strip, tmp_path):
    own = strip.nvd_decompose
    own.parts_of, own.windows = "BACKGROUND", 3
    assert bpy.ops.nvd.decompose() == {"FINISHED"}
    words = runner.queue.jobs[-1].plan["first_steps"][-1]["command"]
    assert words[words.index("--windows") + 1] == "background=3"
    own.out = str(tmp_path / "other.nvd")
    bpy.ops.nvd.add_part()
    own.parts[0].kind, own.parts[0].path = "FILE", "/masks/post"
    assert part_list.trouble(strip) == "windows"
    with pytest.raises(RuntimeError, match="background is to have parts and views"):
        bpy.ops.nvd.decompose()


@pytest.mark.once
def test_a_batch_finds_parts_and_counts_windows(tmp_path, monkeypatch, engine, capsys):
    monkeypatch.setenv("NVD_PYTHON", str(engine.PYTHON))
    ran = []
    monkeypatch.setattr("blender_addon.headless.tasks.run", lambda job, _say: ran.append(job))
    given = ["decompose", "clip.mp4", "--out", str(tmp_path / "o.nvd"), "--mask", "man=m"]
    assert headless.main([*given, "--find-parts", "--windows", "man=1"]) == 0
    assert headless.main([*given, "--find-parts-of", "man"]) == 0
    assert headless.main(given) == 0
    all_, one, none = (" ".join(job.plan["first_steps"][-1]["command"]) for job in ran)
    assert "--find-parts " in all_ and "--windows man=1" in all_
    assert "--find-parts-of man" in one and "--windows" not in one
    assert "--find-parts" not in none
    assert headless.main([*given, "--windows", "man=x"]) == 2
    assert "NAME=N" in capsys.readouterr().err


@pytest.mark.once
def test_a_script_and_a_batch_give_parts(tmp_path, monkeypatch, engine):
    parts = [("man.leg", tmp_path / "leg"), ("background.post", tmp_path / "post")]
    options = {"masks": [("man", tmp_path / "man")], "parts": parts, "python": engine.PYTHON}
    job = decompose_job("clip.mp4", tmp_path / "out.nvd", **options)
    assert words_of(job) == [f"{name}={path}" for name, path in parts]
    ran = []
    monkeypatch.setattr("blender_addon.headless.tasks.run", lambda job, _say: ran.append(job))
    words = [word for name, path in parts for word in ("--part", f"{name}={path}")]
    given = ["clip.mp4", "--out", str(tmp_path / "o.nvd"), "--mask", f"man={tmp_path}", *words]
    assert headless.main(["decompose", *given]) == 0
    assert headless.main(["refine", str(tmp_path / "shot.nvd"), *words]) == 0
    assert [words_of(job) for job in ran] == [words_of(ran[0])] * 2 and len(words_of(ran[0])) == 2


@pytest.mark.once
def test_parts_without_a_name_are_refused(entry, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    for layer in manifest["layers"]:
        for part in layer.get("parts", []):
            part["name"] = "../x"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ShotError, match="no name for a part"):
        read_shot(folder)
