"""The documentation: every link, picture and path in it exists; README, licence and versions."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import nvd_core
from nvd_core.settings import PRESETS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PLACES = ("", "nvd_core", "blender_addon", "tools", "tests")
"""folders from which a path in backticks may count"""
CODE = re.compile(r"(?<![\w/.-])(?:[\w.-]+/)+[\w-]+\.(?:py|yaml|toml|yml)\b")
QUOTED = re.compile(r"`[^`\n]+`")
ROOTS = ("nvd_core/", "blender_addon/", "tools/", "tests/")
OF_USERS = re.compile(r"^(runs|clip|car-turn|roto|[\w-]+\.nvd|\.envs)/")
"""examples of files that someone else has"""


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines}


def broken_links(page: Path) -> list[str]:
    """The relative links and pictures of a page that lead nowhere."""
    broken = []
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        ok = there.is_file() and there.is_relative_to(ROOT)
        if ok and anchor:
            ok = anchor in headings(there)
        if not ok:
            broken.append(target)
    return broken


def lost_paths(page: Path) -> list[str]:
    """The paths of code that a page names, in backticks or from the root, and the tree lacks."""
    text = text_of(page)
    paths = [path for quoted in QUOTED.findall(text) for path in CODE.findall(quoted.strip("`"))]
    paths += [path for path in CODE.findall(text) if path.startswith(ROOTS)]
    lost = []
    for path in dict.fromkeys(paths):
        if OF_USERS.match(path):
            continue
        if not any((ROOT / place / path).is_file() for place in PLACES):
            lost.append(path)
    return lost


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_and_picture_is_there(page):
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_path_of_code_exists(page):
    assert lost_paths(page) == []


def test_what_is_wrong_is_found(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# A heading, of sorts\n")
    page.write_text(
        "[a](other.md#a-heading-of-sorts) [b](other.md#none) [c](gone.md) ![d](d.png)\n"
        "`training/gone.py`, tools/gone/gone.py and `pyproject.toml`\n"
    )
    assert broken_links(page) == ["other.md#none", "gone.md", "d.png"]
    assert lost_paths(page) == ["training/gone.py", "tools/gone/gone.py"]


def test_docstrings_name_pages_that_exist():
    lost = []
    for folder in ("nvd_core", "blender_addon", "tools", "tests"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for page in re.findall(r"\bdocs/[\w/-]+\.md", file.read_text("utf-8")):
                if not (ROOT / page).is_file():
                    lost.append(f"{file.relative_to(ROOT)}: {page}")
    assert lost == []


def test_the_readme_is_short():
    assert len(text_of(ROOT / "README.md").splitlines()) <= 90


def test_every_page_is_found_from_the_readme():
    found, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in found:
            continue
        found.add(page)
        for target in LINK.findall(text_of(page)):
            there = (page.parent / target.partition("#")[0]).resolve()
            if there.suffix == ".md" and there.is_file():
                ahead.append(there)
    unlinked = {named(page) for page in PAGES} - {named(page) for page in found}
    assert unlinked <= {"CHANGELOG.md", "docs/README.md"}


def test_every_picture_is_shown():
    pictures = {f"docs/pictures/{path.name}" for path in (ROOT / "docs" / "pictures").iterdir()}
    everything = "\n".join(text_of(page) for page in PAGES)
    assert {name for name in pictures if name.removeprefix("docs/") not in everything} == set()


def test_the_animation_moves_and_is_small():
    import av

    path = ROOT / "docs" / "pictures" / "paint-once.webp"
    assert path.stat().st_size < 2_000_000
    data = path.read_bytes()
    assert data[8:12] == b"WEBP" and data.count(b"ANMF") > 48
    assert "libwebp_anim" in av.codecs_available  # what tools/docs_pictures.py makes it with


def test_the_licence_is_whole():
    text = text_of(ROOT / "LICENSE")
    assert text.lstrip().startswith("GNU GENERAL PUBLIC LICENSE")
    assert "Version 3, 29 June 2007" in text and "END OF TERMS AND CONDITIONS" in text
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    manifest = tomllib.loads(text_of(ROOT / "blender_addon" / "blender_manifest.toml"))
    citation = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    licence = "GPL-3.0-or-later"
    assert project["license"] == citation["license"] == licence
    assert manifest["license"] == [f"SPDX:{licence}"]


def test_versions_agree():
    manifest = tomllib.loads(text_of(ROOT / "blender_addon" / "blender_manifest.toml"))
    citation = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    assert manifest["version"] == citation["version"] == nvd_core.__version__
    assert f"## {nvd_core.__version__} - " in text_of(ROOT / "CHANGELOG.md")


def test_the_workflow_runs_the_commands_of_the_readme():
    workflow = yaml.safe_load(text_of(ROOT / ".github" / "workflows" / "test.yml"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    run = [step["run"] for step in steps if "run" in step]
    assert run == ["python tools/test.py --quick", "python tools/test.py"]
    assert (ROOT / "nvd_core" / "py.typed").is_file()


def test_the_weights_of_the_losses_are_those_of_the_presets():
    rows = re.findall(
        r"^\| `(\w+)`.*\| ([\d.]+) \| ([\d.]+) \|$",
        text_of(ROOT / "docs" / "method" / "README.md"),
        re.MULTILINE,
    )
    assert len(rows) >= 10
    for name, fast, paper in rows:
        found = [getattr(PRESETS[preset]().losses, name) for preset in ("fast", "paper")]
        assert found == [float(fast), float(paper)], name
