"""report/index.html: what it holds, that it is bounded, and that no name in it does harm."""

import base64
import dataclasses
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.evaluation.page import gather
from nvd_core.evaluation.page.chart import chart, worst_frames
from nvd_core.evaluation.page.encode import Encoder, data_uri
from nvd_core.evaluation.page.gather import MOST_FRAMES, Gatherer, Pictured
from nvd_core.evaluation.page.heat import LayerHeat, over_frame
from nvd_core.evaluation.page.write import page_text
from nvd_core.evaluation.report import evaluate
from nvd_core.media.images import write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.manifest import write_manifest
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot

EVIL = "</script><script>alert(1)</script>"


class Parsed(HTMLParser):
    """What a page loads, the scripts that it runs, its words, and the data for its script."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.tags, self.words, self.scripts = [], [], [], []
        self._open = []
        self.feed(text)
        assert not self._open, f"not closed: {self._open}"
        self.data = json.loads(self.scripts[0]) if self.scripts else None

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.sources += [v for k, v in attributes if k in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "img", "input", "link", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.sources += [v for k, v in attributes if k in ("src", "href")]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        else:
            self.words.append(data)


def parsed(shot) -> Parsed:
    return Parsed((shot.report / "index.html").read_text("utf-8"))


def decoded(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.removeprefix("data:image/webp;base64,"))
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_the_page_shows_every_frame_and_texture_and_loads_nothing(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path)
    report = evaluate(shot)
    page = parsed(shot)
    assert page.data["numbers"] == [0, 1, 2]
    assert set(page.data["frames"]) == {"shot", "reconstruction", "heat", "mattes"}
    for kind, frames in page.data["frames"].items():
        assert len(frames) == 3, kind
        assert decoded(frames[0]).shape == (36, 48, 4 if kind in ("heat", "mattes") else 3)
    assert page.data["psnr"] == report["psnr_per_frame"]
    assert page.data["unlit"] == report["psnr_without_residual_per_frame"]
    assert all(uri.startswith("data:image/webp;base64,") for uri in page.sources)
    assert len(page.sources) == 3 * 3  # three layers: texture, seen, heat
    text = (shot.report / "index.html").read_text("utf-8")
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text.split("<script")[0])
    words = " ".join(page.words)
    assert "Nothing is painted yet" in words
    for name in shot.names:
        assert name in words
        assert report["paintable"][name]["reason"] in words
    for caution in report["cautions"]:
        assert caution[1:] in words
    assert words.count("What to do:") == len(report["cautions"])


def test_paint_is_shown_as_an_edit(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path)
    image = synthetic.texture("background")
    image[..., :3] = (255, 0, 0)
    write_image(shot.edit_path("background"), image)
    evaluate(shot)
    page = parsed(shot)
    assert "Nothing is painted yet" not in " ".join(page.words)
    edited, true = (decoded(page.data["frames"][kind][1]) for kind in ("edit", "shot"))
    corner = edited[:6, :6].reshape(-1, 3).mean(0) - true[:6, :6].reshape(-1, 3).mean(0)
    assert corner[2] > 50 and corner[0] < -30  # BGR: redder, and less blue
    kinds = [attributes["data-kind"] for tag, attributes in page.tags if "data-kind" in attributes]
    assert kinds.count("painted") == 1


def test_a_damaged_edit_is_said_and_the_report_made(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path)
    shot.edit_path("dog").write_bytes(b"no image")
    before = evaluate(synthetic.make_shot(tmp_path / "whole"))
    assert evaluate(shot) == before
    assert "The edit is not shown: " in " ".join(parsed(shot).words)


def test_no_page_where_none_is_asked_for(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path / "shot.nvd")
    assert main(["evaluate", str(shot.folder), "--no-page", "--json"]) == 0
    assert (shot.report / "report.json").is_file()
    assert not (shot.report / "index.html").exists()
    assert main(["evaluate", str(shot.folder), "--json"]) == 0
    assert (shot.report / "index.html").is_file()


def test_the_page_does_not_leave_the_folder(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path / "shot.nvd")
    outside = tmp_path / "outside.html"
    outside.write_text("mine")
    shot.report.mkdir()
    (shot.report / "index.html").symlink_to(outside)
    with pytest.raises(NvdError, match="outside itself"):
        evaluate(shot)
    assert outside.read_text() == "mine"


def test_text_of_the_manifest_is_harmless(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path / "<img src=x onerror=alert(1)>.nvd")
    clip = dataclasses.replace(shot.manifest.clip, source=f'{EVIL}\u202egnp.\x1b[2J" onload="x')
    manifest = dataclasses.replace(shot.manifest, clip=clip, cautions=(EVIL, "é" * 5000))
    write_manifest(shot.folder, manifest)
    shot = Shot.open(shot.folder)
    evaluate(shot)
    text, page = (shot.report / "index.html").read_text("utf-8"), parsed(shot)
    assert EVIL not in text
    assert "\u202e" not in text and "\x1b" not in text
    assert "é" * 3000 not in text
    assert len(page.scripts) == 2
    assert [t for t, _ in page.tags].count("script") == 2
    assert not [1 for tag, attributes in page.tags if {"onerror", "onload"} & set(attributes)]
    assert any(EVIL in words for words in page.words)  # it is shown, as text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "</script>", "'\"><b onload=x>"])
def test_a_layer_of_any_name_is_harmless(tmp_path, synthetic, name):
    """No manifest may hold such a name; the page does not trust in that."""
    shot = synthetic.make_shot(tmp_path)
    report = json.loads(json.dumps(evaluate(shot)).replace('"dog"', json.dumps(name)))
    layers = shot.manifest.layers
    renamed = (dataclasses.replace(layers[0], name=name), *layers[1:])
    shot = Shot(shot.folder, dataclasses.replace(shot.manifest, layers=renamed))
    uri = data_uri(Encoder(1000).encode(np.zeros((4, 4, 3), np.uint8)))
    pictures = {"texture": uri, "seen": uri, "heat": uri}
    frames = {kind: [uri] * 3 for kind in ("shot", "reconstruction", "heat", "mattes")}
    textures = {layer.name: pictures for layer in renamed}
    text = page_text(shot, report, Pictured([0, 1, 2], frames, textures, [], [name]))
    page = Parsed(text)
    assert len(page.scripts) == 2 and [t for t, _ in page.tags].count("script") == 2
    assert not [tag for tag, attributes in page.tags if "onload" in attributes]
    assert name not in page.scripts[0]
    assert name in page.words


def test_only_the_pages_own_script_may_run(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path)
    evaluate(shot)
    (policy,) = [a["content"] for t, a in parsed(shot).tags if a.get("http-equiv")]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='$", policy)


def test_a_long_clip_is_sampled_and_said(tmp_path, synthetic, monkeypatch):
    monkeypatch.setattr(gather, "MOST_FRAMES", 4)
    shot = synthetic.make_shot(tmp_path, frames=9)
    evaluate(shot)
    page = parsed(shot)
    assert page.data["numbers"] == [0, 3, 5, 8]
    assert [len(frames) for frames in page.data["frames"].values()] == [4] * 4
    assert "4 of the 9 frames are pictured" in " ".join(page.words)
    assert [point[0] for point in page.data["points"]] == list(range(9))


@pytest.mark.parametrize("height, width", [(540, 960), (2000, 3000), (40, 4000)])
def test_noise_keeps_to_its_share(height, width):
    """Noise is what compresses worst."""
    random = np.random.default_rng(0)
    encoder = Encoder(20_000)
    for _ in range(3):
        noise = random.integers(0, 256, (height, width, 3), np.uint8)
        data = encoder.encode(noise)
        assert 5_000 < len(data) <= 20_000
    plain = encoder.encode(np.zeros((64, 64, 3), np.uint8))
    assert decoded(data_uri(plain)).shape == (64, 64, 3)


def test_the_page_is_bounded_by_its_parts():
    text = (gather.FRAMES_BYTES + gather.TEXTURES_BYTES) * 4 / 3
    others = 1_000_000  # curve, words, script; every picture's own lengthening is below
    assert text + others + MOST_FRAMES * 5 * 40 < gather.BYTES


def test_a_page_of_noise_stays_below_the_bound(tmp_path, synthetic, monkeypatch):
    """The real gathering with a tenth of the bytes, every picture the worst there is."""
    monkeypatch.setattr(gather, "FRAMES_BYTES", 130_000)
    monkeypatch.setattr(gather, "TEXTURES_BYTES", 40_000)
    shot = synthetic.make_shot(tmp_path, frames=6, width=320, height=240)
    random = np.random.default_rng(1)
    for name in shot.names:
        noise = random.integers(0, 256, synthetic.texture(name).shape, np.uint8)
        write_image(shot.texture_path(name), noise)
    image = random.random((240, 320, 3)).astype(np.float32)
    gatherer, maps = Gatherer(shot), FrameMaps(*random.random((2, 3, 240, 320, 3)).astype("f4"))
    for index in range(6):
        gatherer.add(index, image, image, maps)
    made = gatherer.done()
    frames = [uri for kind in made.frames.values() for uri in kind]
    textures = [uri for pictures in made.textures.values() for uri in pictures.values()]
    assert sum(map(len, frames)) < 130_000 * 4 / 3 + 40 * len(frames)
    assert sum(map(len, textures)) < 40_000 * 4 / 3 + 40 * len(textures)


def test_the_curve_keeps_its_dips():
    values = [40.0] * 100_000
    values[77_777] = 12.0
    values[5] = None
    drawn = chart(values, [30.0] * 100_000)
    assert drawn["thinned"] and len(drawn["points"]) <= 1200
    assert [p[:3] for p in drawn["points"] if p[1] == 12.0] == [[77_777, 12.0, 30.0]]
    assert worst_frames(values)[0] == (77_777, 12.0)
    assert len(chart([50.0], [40.0])["points"]) == 1
    same = chart([30.0, 30.0], [30.0, 30.0])
    assert all(np.isfinite(point[3:]).all() for point in same["points"])


def test_heat_marks_stretch_and_folds_where_they_are():
    height, width = 20, 60
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u = x / width
    u[:, 20:40] = (20 + (x[:, 20:40] - 20) * 0.1) / width  # ten pixels a texel
    u[:, 40:] = 1 - x[:, 40:] / width  # turned over
    uva = np.stack([u, 1 - (y + 0.5) / height, np.ones_like(u)], -1)[None]
    meter = LayerHeat((width, height))
    parts = meter.add(FrameMaps(uva, None), 0)
    heat = over_frame((height, width), [parts]).astype(int)
    assert (heat[2:-2, 2:18, 3] == 0).all()
    stretched, folded = heat[10, 30], heat[10, 50]
    assert stretched[3] > 200 and stretched[0] > stretched[2]  # towards red
    assert folded[3] > 200 and folded[2] > folded[0] + 100  # cyan
    texture = meter.over_texture(np.full((height, width, 3), 0.5, np.float32)).astype(int)
    assert np.ptp(texture[10, 2]) < 30 and texture[10, 21, 0] > texture[10, 21, 2] + 40
