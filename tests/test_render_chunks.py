"""Parts of a clip rendered into one pattern by several processes: what each did is remembered."""

import json
import subprocess
import sys

from nvd_core.editing.changed_frames import RenderedBefore, rendered_path
from nvd_core.editing.render import render


def test_two_that_render_at_once_remember_both(tmp_path, synthetic):
    """Whoever wrote last was the only one that was remembered, so the other's came anew."""
    shot = synthetic.make_shot(tmp_path / "shot.nvd", frames=6)
    out = tmp_path / "out" / "%05d.png"
    command = [sys.executable, "-m", "nvd_core", "render", shot.folder, "--out", out, "--frames"]
    running = [
        subprocess.Popen(list(map(str, [*command, part])), stdout=subprocess.DEVNULL)
        for part in ("0-2", "3-5")
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert set(json.loads(rendered_path(out).read_text())) == set("012345")
    assert render(shot, out)["unchanged"] == 6


def test_the_second_read_before_the_first_wrote(tmp_path):
    """As it comes out where both begin before either ends, whatever the machine does."""
    pattern = tmp_path / "%05d.png"
    first, second = RenderedBefore(pattern), RenderedBefore(pattern)
    for known, t in ((first, 0), (second, 1)):
        (tmp_path / f"{t:05d}.png").write_bytes(b"an image")
        known.add(t, "x" * 32)
    first.save()
    second.save()
    now = RenderedBefore(pattern)
    assert now.has(0, "x" * 32) and now.has(1, "x" * 32)


def test_what_one_rendered_otherwise_is_not_what_another_knew(tmp_path):
    pattern = tmp_path / "%05d.png"
    (tmp_path / "00000.png").write_bytes(b"an image")
    old = RenderedBefore(pattern)
    old.add(0, "x" * 32)
    old.save()
    new = RenderedBefore(pattern)
    new.add(0, None)  # rendered in a way that cannot be told again
    new.save()
    assert not RenderedBefore(pattern).has(0, "x" * 32)
