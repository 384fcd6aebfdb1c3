"""How the commands tell what they do: in lines of JSON, or in words."""

import json
import sys
from collections.abc import Callable

from ..errors import visible

Say = Callable[..., None]


class Cancelled(Exception):
    """The user stopped the command."""


def say_json(event: str, **values) -> None:
    """A line of JSON."""
    print("\n" + json.dumps({"event": event, **values}), flush=True)  # Blender leaves half lines


def say_plainly(event: str, **values) -> None:
    """Words for a reader."""
    if event == "progress":
        text = values.get("text") or f"{values['stage']} {values['done']} of {values['total']}"
        print(visible(text), flush=True)
    elif event == "error":
        for words in (f"nvd: {values['problem']}", f"what to do: {values['remedy']}"):
            print(visible(words), file=sys.stderr)
    else:
        for name, value in values.items():
            print(visible(f"{name}: {value}"), flush=True)
