"""docs/reference/settings.md is what the declarations say."""

import runpy
from pathlib import Path

from nvd_core.runtime.declared import kinds_of
from nvd_core.settings import Settings, to_dict

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_is_as_the_declarations_are():
    tool = runpy.run_path(str(ROOT / "tools" / "make_settings_reference.py"))
    renew = "renew it: .envs/engine/bin/python tools/make_settings_reference.py"
    assert tool["PAGE"].read_text("utf-8") == tool["page"](), renew


def names(values: dict, prefix: str = "") -> set[str]:
    found = set()
    for name, value in values.items():
        found.add(prefix + name)
        found |= names(value, f"{prefix}{name}.") if isinstance(value, dict) else set()
    return found


def test_every_setting_has_a_row_with_help():
    rows = [line.split(" | ") for line in page_lines() if line.startswith("| `")]
    helps = {row[0].strip("| `"): row[-1].rstrip(" |") for row in rows}
    assert helps.keys() == names(to_dict(Settings()))
    assert all(len(text) > 8 for text in helps.values())
    assert helps.keys() > set(kinds_of(Settings))


def page_lines() -> list[str]:
    return (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8").splitlines()
