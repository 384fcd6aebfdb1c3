"""The manifest: what is written comes back, all else is refused in words, and the docs agree."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from nvd_core.media.analysis import AnalysisSize
from nvd_core.media.picture import InputSpace, Picture
from nvd_core.media.timeline import Timeline
from nvd_core.runtime.errors import NvdError
from nvd_core.shot import manifest as module
from nvd_core.shot.manifest import (
    ClipRecord,
    LayerRecord,
    Manifest,
    Refinement,
    read_manifest,
    write_manifest,
)
from nvd_core.shot.maps import CHANNELS, FINE

DOCS = Path(__file__).parents[1] / "docs" / "reference" / "decomposition-folder.md"


def a_layer(name="dog", kind="object", **changes):
    images = {"texture": f"textures/{name}.png", "edit": f"edits/{name}.png"}
    sizes = {"texture_width": 100, "texture_height": 50}
    return LayerRecord(**{"name": name, "kind": kind} | images | sizes | changes)


def a_manifest(**changes):
    clip = ClipRecord("clip.mp4", 0, 10, 64, 48, (30000, 1001), 8, "display")
    layers = (a_layer(), a_layer("background", "background"))
    return dataclasses.replace(Manifest(clip=clip, layers=layers, cautions=("slow",)), **changes)


def changed(folder, change):
    """Write a good manifest into `folder`, then `change` its JSON in place."""
    write_manifest(folder, a_manifest())
    path = folder / "manifest.json"
    value = json.loads(path.read_text())
    value = change(value) or value
    path.write_text(json.dumps(value))


def test_round_trip(tmp_path):
    write_manifest(tmp_path, a_manifest())
    assert read_manifest(tmp_path) == a_manifest()
    assert read_manifest(str(tmp_path)).names == ["dog", "background"]


def test_lists_are_taken_for_tuples(tmp_path):
    given = a_manifest()
    clip = dataclasses.replace(given.clip, rate=[30000, 1001])
    write_manifest(tmp_path, dataclasses.replace(given, clip=clip, layers=list(given.layers)))
    assert read_manifest(tmp_path) == given


def setter(*keys, value):
    def change(manifest):
        for key in keys[:-1]:
            manifest = manifest[key]
        manifest[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: [1, 2], "does not describe a decomposition"),
        (setter("schema", value="other"), "does not describe a decomposition"),
        (setter("version", value=module.VERSION + 1), "newer program"),
        (setter("version", value="1"), "no valid version"),
        (setter("version", value=True), "no valid version"),
        (setter("version", value=0), "no valid version"),
        (lambda m: m.pop("maps") and None, "misses keys"),
        (lambda m: m["clip"].pop("rate") and None, r"misses keys.*clip\.rate"),
        (lambda m: m["layers"][1].pop("edit") and None, r"misses keys.*layers\[1\]\.edit"),
        (setter("extra", value=1), "unknown keys.*extra"),
        (setter("layers", 0, "code", value="x"), r"unknown keys.*layers\[0\]\.code"),
        (setter("clip", value=3), "clip has the wrong type"),
        (setter("clip", "frames", value="10"), "clip.frames has the wrong type.*integer"),
        (setter("clip", "frames", value=True), "clip.frames has the wrong type"),
        (setter("clip", "frames", value=1.5), "clip.frames has the wrong type"),
        (setter("clip", "rate", value=[25]), "clip.rate has the wrong type"),
        (setter("clip", "rate", value=[25, "1"]), r"clip.rate\[1\] has the wrong type"),
        (setter("clip", "rate", value=[25, 0]), "clip.rate is not valid"),
        (setter("clip", "frames", value=0), "clip.frames is not valid"),
        (setter("clip", "width", value=-1), "clip.width is not valid"),
        (setter("clip", "bit_depth", value=10), "bit_depth is not valid"),
        (setter("clip", "bit_depth", value="half"), "encoding is not valid"),
        (setter("clip", "bit_depth", value=None), "bit_depth has the wrong type"),
        (setter("cautions", value="slow"), "cautions has the wrong type"),
        (setter("cautions", value=[1]), r"cautions\[0\] has the wrong type"),
        (setter("layers", value=[]), "kind"),
        (setter("layers", 1, "kind", value="object"), "kind"),
        (setter("layers", 0, "name", value="a dog"), "name is not valid"),
        (setter("layers", 0, "name", value="dog\n"), "name is not valid"),
        (setter("layers", 0, "name", value="Background"), "different names"),
        (setter("layers", 0, "texture_width", value=0), "texture_width is not valid"),
        (setter("layers", 0, "texture", value="/etc/passwd"), "outside"),
        (setter("layers", 0, "texture", value="../other.png"), "outside"),
        (setter("layers", 0, "edit", value="edits/../../x.png"), "outside"),
        (setter("layers", 0, "edit", value="C:\\x.png"), "outside"),
        (setter("layers", 0, "edit", value="..\\x.png"), "outside"),
        (setter("layers", 0, "edit", value=""), "outside"),
        (setter("frames", value="/tmp/%05d.png"), "outside"),
        (setter("maps", value="../%05d.exr"), "outside"),
        (setter("maps", value="maps/one.exr"), "not a pattern"),
    ],
)
def test_what_is_wrong_is_refused_in_words(tmp_path, change, words):
    changed(tmp_path, change)
    with pytest.raises(NvdError, match=words) as caught:
        read_manifest(tmp_path)
    assert caught.value.remedy


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    shot = tmp_path / "shot.nvd"
    changed(shot, lambda m: None)
    (shot / "textures").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(NvdError, match="outside"):
        read_manifest(shot)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(NvdError, match="there is no folder"):
        read_manifest(tmp_path / "missing")
    with pytest.raises(NvdError, match="not a decomposition folder"):
        read_manifest(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NvdError, match="found a file"):
        read_manifest(tmp_path / "file")
    (tmp_path / "job.json").write_text("{}")
    with pytest.raises(NvdError, match="not finished") as caught:
        read_manifest(tmp_path)
    assert "nvd resume" in caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_broken_json(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(NvdError, match="cannot read"):
        read_manifest(tmp_path)


def test_a_bad_manifest_is_not_written(tmp_path):
    with pytest.raises(NvdError, match="name is not valid"):
        write_manifest(tmp_path, a_manifest(layers=(a_layer("bad name", "background"),)))
    assert not (tmp_path / "manifest.json").exists()


def test_older_versions_are_upgraded(tmp_path, monkeypatch):
    changed(tmp_path, lambda m: m.pop("cautions") and None)
    newest = module.VERSION

    def add_cautions(value):
        return value | {"cautions": ["upgraded"]}

    monkeypatch.setattr(module, "VERSION", newest + 1)
    monkeypatch.setattr(module, "UPGRADES", {newest: add_cautions})
    manifest = read_manifest(tmp_path)
    assert manifest.cautions == ("upgraded",)
    assert manifest.version == newest + 1


def test_version_1_had_plain_pixels_only(tmp_path):
    def old(manifest):
        manifest["version"] = 1
        del manifest["clip"]["picture"]

    changed(tmp_path, old)
    assert read_manifest(tmp_path) == a_manifest()


def test_every_older_version_has_an_upgrade():
    assert sorted(module.UPGRADES) == list(range(1, module.VERSION))


def test_shot_paths_and_check(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path)
    shot.check()
    assert shot.frames == 3
    assert shot.frame_path(2) == tmp_path / "frames/00002.png"
    assert shot.map_path(1) == tmp_path / "maps/00001.exr"
    assert shot.texture_path("dog") == tmp_path / "textures/dog.png"
    assert shot.edit_path("cat") == tmp_path / "edits/cat.png"
    with pytest.raises(NvdError, match=r"no layer bird.*dog, cat, background"):
        shot.edit_path("bird")
    shot.map_path(1).unlink()
    shot.texture_path("dog").unlink()
    with pytest.raises(NvdError, match=r"missing.*textures/dog.png, maps/00001.exr"):
        shot.check()


def documented_rows(first_heading):
    """The rows of the table of the docs that starts with `first_heading`, as lists of cells."""
    text = DOCS.read_text("utf-8")
    table = text[text.index(f"| {first_heading} |") :].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return rows[2:]


def described(kind):
    """The docs' word for an annotation."""
    words = {str: "string", int: "integer", int | str: "integer or string"}
    words |= {str | None: "string, or null"}
    words |= {bool: "boolean", Timeline | None: "object"}
    words |= {tuple[int, int] | None: "[integer, integer], or null"}
    words |= {tuple[float, ...] | None: "list of 8 numbers, or null"}
    words |= {tuple[int, ...] | None: "list of 4 integers, or null"}
    if kind in words:
        return words[kind]
    if get_origin(kind) is Literal:
        return "string" if isinstance(get_args(kind)[0], str) else "integer"
    arguments = get_args(kind)
    if arguments[-1] is not ...:
        return "[" + ", ".join(words[k] for k in arguments) + "]"
    return "list of strings" if arguments[0] is str else "list"


def test_docs_list_every_key_with_its_type():
    expected = {}
    for record, prefix in (
        (Manifest, ""),
        (ClipRecord, "clip."),
        (Picture, "clip.picture."),
        (InputSpace, "clip.picture.space."),
        (AnalysisSize, "clip.analysis."),
        (Timeline, "clip.timeline."),
        (Refinement, "refinement."),
        (LayerRecord, "layers[]."),
    ):
        for key, kind in get_type_hints(record).items():
            whole = ClipRecord, Picture, InputSpace | None, AnalysisSize | None, Refinement | None
            if kind not in whole:
                expected[prefix + key] = described(kind)
    expected["clip.timeline.at"] = "list of integers, or null"  # T + 1 of them, not 4
    documented = {row[0].strip("`"): row[1] for row in documented_rows("key")}
    assert documented == expected
    assert f"version {module.VERSION}\n" in DOCS.read_text("utf-8")


def test_docs_list_every_channel_with_its_type():
    documented = {}
    for names, kind, _ in documented_rows("channel"):
        first, *others = re.findall(r"`([^`]+)`", names)
        first = first.removeprefix("<layer>.")
        for name in [first, *(first.rpartition(".")[0] + other for other in others)]:
            documented[name] = kind
    assert documented == CHANNELS | dict.fromkeys(FINE, "half")
