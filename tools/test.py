"""Run every test: the engine's, then those inside each Blender.

    python3 tools/test.py              all
    python3 tools/test.py --quick      without the tests that take minutes
    python3 tools/test.py -k compositor
    python3 tools/test.py --matrix matrix.md   and a table: each test in each Blender, in seconds

Makes the environments under .envs/ first (tools/environments.py). Ends with a table and a line
"TOTAL: N passed, N failed, N skipped"; the exit code is 0 only where nothing failed. An error
counts as a failure; an environment that could not be made for want of a Python as one skipped.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from environments import ROOT, Environment, Failed, NoPython, all_environments, ensure


@dataclass
class Result:
    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    note: str = ""
    cases: dict[str, str] = field(default_factory=dict)  # what is said of each test, by its name


def run_tests(environment: Environment, options: list[str]) -> Result:
    """pytest in `environment`: tests/blender inside a Blender, all others in the engine."""
    result = Result(environment.name)
    started = time.monotonic()
    print(f"\n=== {environment.name} ===", flush=True)
    try:
        ensure(environment)
    except NoPython as error:
        print(f"left out: {error}")
        return Result(environment.name, skipped=1, note=str(error))
    except Failed as error:
        print(error)
        return Result(environment.name, failed=1, note="the environment could not be made")
    inside = environment.name.startswith("bpy")
    where = ["tests/blender"] if inside else ["tests", "--ignore=tests/blender"]
    with tempfile.TemporaryDirectory(prefix="nvd-tests-") as folder:
        report = Path(folder) / "report.xml"
        command = [environment.python, "-m", "pytest", *where, f"--junitxml={report}", *options]
        code = subprocess.run(list(map(str, command)), cwd=ROOT).returncode
        count(report, result)
    nothing_chosen = code == 5
    if code not in (0, 1, 5) or (code == 1 and not result.failed):
        result.failed += 1
        result.note = f"pytest ended with code {code}"
    elif nothing_chosen:
        result.note = "no tests chosen"
    result.seconds = time.monotonic() - started
    return result


def count(report: Path, result: Result) -> None:
    """Add up pytest's JUnit report; there is none where Python itself died."""
    if not report.is_file():
        return
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        said = f"{float(case.get('time', 0)):.1f}"
        if kinds & {"failure", "error"}:
            result.failed += 1
            said = "FAILED"
        elif "skipped" in kinds:
            result.skipped += 1
            said = "skipped"
        else:
            result.passed += 1
        place = case.get("classname", "").removeprefix("tests.blender.")
        result.cases[f"{place} {case.get('name')}"] = said


def write_matrix(path: Path, results: list[Result]) -> None:
    """Markdown: a row for each test inside Blender, a column for each Blender, seconds."""
    columns = [result for result in results if result.name.startswith("bpy")]
    names = list(dict.fromkeys(name for result in columns for name in result.cases))
    lines = ["| test | " + " | ".join(result.name for result in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name in names:
        cells = (result.cases.get(name, "") for result in columns)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    path.write_text("\n".join(lines) + "\n", "utf-8")


def print_table(results: list[Result]) -> None:
    print(f"\n{'environment':<12} {'passed':>7} {'failed':>7} {'skipped':>7} {'seconds':>8}")
    for r in results:
        figures = f"{r.passed:>7} {r.failed:>7} {r.skipped:>7} {r.seconds:>8.1f}"
        print(f"{r.name:<12} {figures}  {r.note}".rstrip())
    passed, failed, skipped = (
        sum(getattr(r, kind) for r in results) for kind in ("passed", "failed", "skipped")
    )
    print(f"TOTAL: {passed} passed, {failed} failed, {skipped} skipped")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out tests that take minutes")
    parser.add_argument("-k", metavar="EXPRESSION", help="run only the tests that match")
    parser.add_argument("--matrix", type=Path, metavar="FILE", help="table of the tests in Blender")
    arguments = parser.parse_args()
    options = ["-q"]
    if arguments.quick:
        options += ["-m", "not long"]
    if arguments.k:
        options += ["-k", arguments.k]
    results = [run_tests(environment, options) for environment in all_environments()]
    print_table(results)
    if arguments.matrix:
        write_matrix(arguments.matrix, results)
    nothing = not any(r.passed for r in results)
    return 1 if nothing or any(r.failed for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
