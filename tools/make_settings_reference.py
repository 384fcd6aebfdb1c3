"""Write docs/reference/settings.md from the declarations in nvd_core/settings.py.

    .envs/engine/bin/python tools/make_settings_reference.py

The help of a setting is the text below it in the source.
"""

import ast
import dataclasses
import inspect
from itertools import pairwise
from pathlib import Path
from typing import Any

from nvd_core import settings as declaration
from nvd_core.runtime.declared import described, kinds_of
from nvd_core.settings import PRESETS, Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "settings.md"
HEAD = """\
# Settings

<!-- made by tools/make_settings_reference.py from nvd_core/settings.py: change that, not this -->

What decides how a clip is trained. A settings file is YAML and names only what it changes:

    iterations: 2000
    losses: {{flow: 0.02}}

`nvd decompose --settings FILE` takes it, and `--set losses.flow=0.02`, which may be given again,
changes one setting more. Both start from `--preset`: `fast` (the default), `draft` (half a minute,
to see whether the masks are right), `fine` (slower, better) or `paper` (as published). All settings
that were used are in the `settings.yaml` of the decomposition folder, which is a settings file too;
one of a version without `share_by_error` and `skip_settled` trains without them, as it did.
`null` leaves a thing out. A value out of its range is refused before anything is written.

Some settings must fit each other: a grid's `finest` is 0, -1, or its `base` or more; a grid has at
most {values} learnable numbers; layers x width x width of a network are at most {weights};
`flow_method: raft` and `flow_method: files` need a `flow_path`.
"""


def page() -> str:
    """The whole page."""
    head = HEAD.format(
        values=f"{declaration.MOST_GRID_VALUES:,}".replace(",", " "),
        weights=f"{declaration.MOST_WEIGHTS:,}".replace(",", " "),
    )
    presets = [preset() for preset in PRESETS.values()]
    return "\n".join([head, *_group("", Settings, presets)])


def _group(prefix: str, record: type, values: list[Any]) -> list[str]:
    """The table of a record, then those of the records within it."""
    helps, kinds = _helps(record), kinds_of(record)
    title = f"`{prefix[:-1]}`" if prefix else "Training"
    lines = [f"## {title}", "", f"| setting | takes | {' | '.join(PRESETS)} | |"]
    lines.append("|---|---|" + "---|" * len(PRESETS) + "---|")
    inner = []
    for name, kind in kinds.items():
        parts = [getattr(value, name, None) for value in values]
        within = next((type(part) for part in parts if dataclasses.is_dataclass(part)), None)
        if within:
            inner += _group(f"{prefix}{name}.", within, parts)
        takes = "the table below" if within else described(kind)
        takes += " or null" if within and type(None) in getattr(kind, "__args__", ()) else ""
        given = [_value(part) for part in parts]
        lines.append(f"| `{prefix}{name}` | {takes} | {' | '.join(given)} | {helps[name]} |")
    return [*lines, "", *inner]


def _value(value: object) -> str:
    if dataclasses.is_dataclass(value):
        return ""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _helps(record: type) -> dict[str, str]:
    """The text below each field."""
    declaration = ast.parse(inspect.getsource(record)).body[0]
    assert isinstance(declaration, ast.ClassDef)
    found = {}
    for field, text in pairwise(declaration.body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            words = ast.literal_eval(text.value).split()
            found[ast.unparse(field.target)] = " ".join(words).replace("|", "\\|")
    return found


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), "utf-8")
