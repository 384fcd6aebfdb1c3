"""The one place that scripts import from: its names are there, and the documentation lists them."""

import re
from pathlib import Path

from blender_addon import scripting

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "scripting.md"


def test_every_name_is_there():
    missing = [name for name in scripting.__all__ if not hasattr(scripting, name)]
    assert missing == []


def test_the_page_lists_the_names():
    rows = [line.split("|")[1] for line in PAGE.read_text("utf-8").splitlines() if "|" in line]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == sorted(scripting.__all__)


def test_the_page_s_examples_use_what_is_there():
    text = PAGE.read_text("utf-8")
    used = re.findall(r"\b(frame_canvas|painting|preview|shots|strips)\.(\w+)\(", text)
    assert len(used) > 6
    assert [call for call in used if not hasattr(getattr(scripting, call[0]), call[1])] == []
