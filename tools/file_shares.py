"""The order and the shares in which tools/test.py runs the test files, by what they took last time.

The seconds lie in .envs/test-seconds.json, by environment and by file, and are renewed by each run.
A file that they do not know is taken for a slow one where it has a test marked `slow` or `long`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

UNKNOWN, UNKNOWN_SLOW = 5.0, 60.0  # seconds

Seconds = dict[str, dict[str, float]]


def read_seconds(path: Path) -> Seconds:
    """What was written there; nothing where that is missing or is something else."""
    try:
        known = json.loads(path.read_text("utf-8"))
        return {
            str(environment): {str(name): float(seconds) for name, seconds in files.items()}
            for environment, files in known.items()
        }
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def write_seconds(path: Path, known: Seconds, new: Seconds) -> None:
    """Put what `new` has in place of what was `known` of the same files."""
    names = known.keys() | new.keys()
    merged = {name: known.get(name, {}) | new.get(name, {}) for name in names}
    path.write_text(json.dumps(merged, indent=1, sort_keys=True) + "\n", "utf-8")


def expected(path: Path, known: Mapping[str, float]) -> float:
    if path.name in known:
        return known[path.name]
    text = path.read_text("utf-8")
    return UNKNOWN_SLOW if "mark.slow" in text or "mark.long" in text else UNKNOWN


def longest_first(files: Iterable[Path], known: Mapping[str, float]) -> list[Path]:
    """So that no process is left with a long file when the others have ended."""
    return sorted(files, key=lambda path: (-expected(path, known), path.name))


def shares(files: Iterable[Path], known: Mapping[str, float], count: int) -> list[list[Path]]:
    """`count` lists, or fewer, that take about the same time; none is empty."""
    found: list[list[Path]] = [[] for _ in range(count)]
    sums = [0.0] * count
    for path in longest_first(files, known):
        least = sums.index(min(sums))
        found[least].append(path)
        sums[least] += expected(path, known)
    return [share for share in found if share]
