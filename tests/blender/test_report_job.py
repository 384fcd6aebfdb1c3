"""The report from the panel: a job makes it, and the browser is told where it is."""

import shutil
import time
import urllib.request
import webbrowser
from pathlib import Path
from urllib.parse import urlparse

import bpy
import pytest

import blender_addon
from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner
from blender_addon.shot import painting, shots
from blender_addon.strip import report_job


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.fixture
def entry(made, tmp_path):
    folder = tmp_path / "a shot & more.nvd"  # what an address has to escape
    shutil.copytree(made / "shot.nvd", folder)
    shutil.rmtree(folder / "report", ignore_errors=True)
    return shots.add_shot(folder)


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """What the browser was given."""
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url, *_, **__: addresses.append(url) or True)
    return addresses


@pytest.mark.slow
def test_a_job_makes_the_report_with_the_paint(entry, engine, opened):
    with pytest.raises(RuntimeError, match=r"no report yet.*Evaluate"):
        bpy.ops.nvd.open_report()
    assert opened == []
    layer = entry.layers["leaf-2"]
    painting.paint_layer(layer, None)
    pixels = painting.read_pixels(layer.edit)
    pixels[..., :3] = 1 - pixels[..., :3]
    painting.write_pixels(layer.edit, pixels)
    job = report_job.queue_evaluate(entry, bpy.context.scene, engine.PYTHON)
    end = time.monotonic() + 300
    while not job.ended and time.monotonic() < end:
        runner.tick()
        time.sleep(0.2)
    assert job.state == "done", job.full_log()
    assert report_job.report_page(entry).stat().st_size > 10_000
    assert "Nothing is painted yet" not in report_job.report_page(entry).read_text("utf-8")
    assert bpy.ops.nvd.open_report() == {"FINISHED"}
    (address,) = opened
    shown = Path(urllib.request.url2pathname(urlparse(address).path))
    assert address.startswith("file:///") and shown == entry.path / "report" / "index.html"


def test_a_report_that_leads_out_of_the_folder_is_none(entry, tmp_path, opened):
    (tmp_path / "elsewhere.html").write_text("not a report")
    (entry.path / "report").mkdir()
    (entry.path / "report" / "index.html").symlink_to(tmp_path / "elsewhere.html")
    assert report_job.report_page(entry) is None
    with pytest.raises(AddonError, match="no report"):
        report_job.open_report(entry)
    assert opened == []


def test_without_the_one_operator_the_other_opens_it(entry, monkeypatch):
    (entry.path / "report").mkdir()
    (entry.path / "report" / "index.html").write_text("page")
    tried = []

    class Operators:
        """Blender's, where the browser cannot be started."""

        def url_open(self, url):
            tried.append(url)
            raise RuntimeError("no browser")

        def path_open(self, filepath):
            tried.append(filepath)
            return {"FINISHED"} if len(tried) < 3 else {"CANCELLED"}

    class Ops:
        wm = Operators()

    class Bpy:
        ops = Ops()

    monkeypatch.setattr(report_job, "bpy", Bpy())
    report_job.open_report(entry)
    assert tried[0].startswith("file:") and tried[1] == str(entry.path / "report" / "index.html")
    with pytest.raises(AddonError, match="no browser"):
        report_job.open_report(entry)
