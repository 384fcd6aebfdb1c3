"""The process that reads damaged files, case after case: python -m fuzz_parts.worker BASE

A line of JSON a case comes in, {"kind", "seed", "number", "file"}; a line goes out that says what
became of it. It may hang or die: tools/fuzz.py, which started it, watches that.
"""

import json
import os
import random
import shutil
import sys
import warnings
from pathlib import Path
from traceback import format_exc
from typing import Any

import numpy as np

from fuzz_parts.damage import damage
from fuzz_parts.readers import KINDS, EscapeError, Kind
from nvd_core.runtime.errors import NvdError

if sys.platform != "win32":
    import resource

MOST_GROWTH = 2 << 30
"""bytes that a case may take"""
ADDRESSES = 6 << 30
"""bytes of addresses that it may ask for beyond those of the start"""
_NO_MEMORY = "the memory does not suffice"


def serve(base: Path) -> None:
    """Answer the cases that come in, until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # what commands and libraries print
    os.dup2(nowhere, 2)
    warnings.simplefilter("ignore")
    print(json.dumps({"ready": True}), file=answers, flush=True)
    limited = False
    for line in sys.stdin:
        case = json.loads(line)
        try:
            answer = run(base, case)
        except Exception:
            answer = case | {"outcome": "escape", "text": f"of the fuzzer: {format_exc()}"}
        if not limited and case["number"] < 0:
            limited = True
            _limit_addresses()
        print(json.dumps(answer), file=answers, flush=True)


def run(base: Path, case: dict) -> dict:
    """Damage one file, read it, and put it back; number -1 reads it whole."""
    kind = KINDS[case["kind"]]
    chosen = random.Random(f"{case['seed']} {case['kind']} {case['number']}")
    path = _target(base, kind, chosen) if not case.get("target") else base / case["target"]
    kept = path.read_bytes()
    how = "whole"
    try:
        if case.get("file"):
            shutil.copyfile(case["file"], path)
            how = case["how"]
        elif case["number"] >= 0:
            how = damage(chosen, path, _others(base, chosen))
        damaged = path.read_bytes() if path.is_file() else None
        outcome, text, growth = _read(kind, base, path, chosen)
    finally:
        if path.is_dir():
            shutil.rmtree(path)
        path.write_bytes(kept)
    answer = case | {"how": how, "outcome": outcome, "text": text, "mb": growth >> 20}
    answer["target"] = path.relative_to(base).as_posix()
    if outcome in ("escape", "over") and damaged is not None:
        saved = base / "failing"
        saved.write_bytes(damaged)
        answer["saved"] = str(saved)
    return answer


def _target(base: Path, kind: Kind, chosen: random.Random) -> Path:
    return chosen.choice([p for p in _matching(base, chosen.choice(kind.files)) if p.is_file()])


def _others(base: Path, chosen: random.Random) -> list[Path]:
    kind = KINDS[chosen.choice([name for name in KINDS if name != "commands"])]
    return [p for p in _matching(base, chosen.choice(kind.files)) if p.is_file()]


def _matching(base: Path, pattern: str) -> list[Path]:
    return sorted(path for path in base.glob(pattern) if path.name != ".nvd.lock")


def _read(kind: Kind, base: Path, path: Path, chosen: random.Random) -> tuple[str, str, int]:
    before = _start_measuring()
    outcome, text = "accepted", ""
    try:
        _require_finite(kind.read(base, path, chosen))
    except NvdError as error:
        outcome, text = "refused", f"{error} | {error.remedy}"
        if _NO_MEMORY in str(error):
            outcome = "over"
        elif not error.problem or not error.remedy:
            outcome = "escape"
    except BaseException as error:  # a SystemExit is one too
        outcome, text = "escape", f"{type(error).__name__}: {error}"[:300] + _where(error)
    growth = _most_memory() - before
    return ("over" if growth > MOST_GROWTH else outcome), text, growth


def _where(error: BaseException) -> str:
    trace, last = error.__traceback__, ""
    while trace:
        name = trace.tb_frame.f_code.co_filename
        if "nvd_core" in name:
            last = f" at {Path(name).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return last


def _require_finite(value: Any) -> None:
    if isinstance(value, list):
        for part in value:
            _require_finite(part)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
        raise EscapeError("NaN or infinity was taken in silence")


def _limit_addresses() -> None:
    if sys.platform == "linux":
        most = _status("VmSize") + ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _start_measuring() -> int:
    """Have the highest mark of this process's memory begin anew; what it is now."""
    if sys.platform != "linux":
        return 0
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _most_memory() -> int:
    return _status("VmHWM") if sys.platform == "linux" else 0


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
