"""Run every test: the engine's, then those inside each Blender.

    python3 tools/test.py              all but those that take long
    python3 tools/test.py --all        all, as continuous integration does
    python3 tools/test.py --quick      the engine's and one Blender's that are fast
    python3 tools/test.py -k compositor
    python3 tools/test.py --matrix matrix.md   and a table: each test in each Blender, in seconds

Makes the environments under .envs/ first (tools/environments.py). The engine's tests are shared out
to as many processes as there are cores; then each Blender's files are divided into as many shares,
which run side by side, and what each prints is shown when it has ended. Files that took long last
time come first (tools/file_shares.py). But for --all, what is marked `once` or `slow` is left to
the newest Blender where that runs too. Ends with the ten slowest tests, a table and a line
"TOTAL: N passed, N failed, N skipped"; the exit code is 0 only where nothing failed. An error
counts as a failure; an environment that could not be made for want of a Python as one skipped.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from environments import ENVIRONMENTS, ROOT, Environment, Failed, NoPython, all_environments, ensure
from file_shares import expected, longest_first, read_seconds, shares, write_seconds

SLOWEST = 10
QUICK_BLENDERS = ("bpy-4.5",)
ONCE = "bpy-5.2"  # the newest
SECONDS = ENVIRONMENTS / "test-seconds.json"


@dataclass
class Case:
    name: str
    seconds: float
    said: str  # its seconds, or what else is said of it
    file: str = ""  # its name alone


@dataclass
class Result:
    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    note: str = ""
    cases: list[Case] = field(default_factory=list)


@dataclass(frozen=True)
class Chosen:
    """Which tests are to run."""

    marks: str  # an expression of pytest's -m; "" for all
    words: str | None  # one of its -k

    def options(self, environment: Environment, ready: list[Environment]) -> list[str]:
        """pytest's; by default what is marked `once` or `slow` runs in the newest Blender alone."""
        marks = self.marks
        other = is_blender(environment) and environment.name != ONCE
        if marks and other and any(e.name == ONCE for e in ready):
            marks += " and not once and not slow"
        found = ["-q"]
        found += ["-m", marks] if marks else []
        return found + (["-k", self.words] if self.words else [])

    def key(self, environment: Environment) -> str:
        """Under which the seconds of such a choice are kept."""
        return f"{environment.name} {self.marks}".strip()


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare(environment: Environment) -> Result | None:
    """Make the environment; what is to be reported where it cannot be."""
    try:
        ensure(environment)
    except NoPython as error:
        print(f"{environment.name} is left out: {error}")
        return Result(environment.name, skipped=1, note=str(error))
    except Failed as error:
        print(error)
        return Result(environment.name, failed=1, note="the environment could not be made")
    return None


def is_blender(environment: Environment) -> bool:
    return environment.name.startswith("bpy")


def test_files(environment: Environment) -> list[Path]:
    """tests/blender inside a Blender, all others in the engine."""
    pattern = "blender/test_*.py" if is_blender(environment) else "test_*.py"
    return sorted((ROOT / "tests").glob(pattern))


def run_tests(
    environment: Environment, files: list[Path], options: list[str], processes: int
) -> Result:
    """pytest of `files` in `environment`, in this order.

    What a Blender prints is shown when it has ended, since others run beside it.
    """
    result = Result(environment.name)
    started = time.monotonic()
    where = [str(path.relative_to(ROOT)) for path in files]
    if not is_blender(environment) and processes > 1:
        # by files, whose tests share what takes long to make
        where += ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]
    with tempfile.TemporaryDirectory(prefix="nvd-tests-") as folder:
        report, output = Path(folder) / "report.xml", Path(folder) / "output.txt"
        command = [environment.python, "-m", "pytest", *where, f"--junitxml={report}", *options]
        # Side by side, a thread each: more threads than cores wait for each other's turns
        threads = {"OMP_NUM_THREADS": "1"} if processes > 1 else {}
        with output.open("wb") as file:
            code = subprocess.run(
                list(map(str, command)),
                cwd=ROOT,
                env=threads | os.environ,
                stdout=file if is_blender(environment) else None,
                stderr=subprocess.STDOUT if is_blender(environment) else None,
            ).returncode
        text = output.read_text("utf-8", "replace")
        print(f"\n=== {environment.name} ===\n{text}" if text else "", end="", flush=True)
        count(report, result)
    nothing_chosen = code == 5
    if code not in (0, 1, 5) or (code == 1 and not result.failed):
        result.failed += 1
        result.note = f"pytest ended with code {code}"
    elif nothing_chosen:
        result.note = "no tests chosen"
    result.seconds = time.monotonic() - started
    return result


def together(results: list[Result]) -> Result:
    """What the shares of one environment came to; seconds are those of all, as if in a row."""
    whole = Result(results[0].name)
    for kind in ("passed", "failed", "skipped", "seconds"):
        setattr(whole, kind, sum(getattr(result, kind) for result in results))
    cases = (case for result in results for case in result.cases)
    whole.cases = sorted(cases, key=lambda case: case.file)
    notes = dict.fromkeys(result.note for result in results if result.note)
    if whole.cases:
        notes.pop("no tests chosen", None)
    whole.note = ", ".join(notes)
    return whole


def run_all(environments: list[Environment], chosen: Chosen, processes: int) -> list[Result]:
    """The engine first, since Blenders' tests run it; then Blenders' shares, so many at a time."""
    results, ready = {}, []
    for environment in environments:
        missing = prepare(environment)
        if missing:
            results[environment.name] = missing
        else:
            ready.append(environment)
    known = read_seconds(SECONDS)
    waiting = []
    for environment in ready:
        took = known.get(chosen.key(environment), {})
        files, options = test_files(environment), chosen.options(environment, ready)
        if is_blender(environment):
            for share in shares(files, took, processes):
                seconds = sum(expected(path, took) for path in share)
                waiting.append((seconds, (environment, share, options, processes)))
        else:
            print(f"\n=== {environment.name} ===", flush=True)
            files = longest_first(files, took)
            results[environment.name] = run_tests(environment, files, options, processes)
    parts: dict[str, list[Result]] = {}
    with ThreadPoolExecutor(processes) as pool:
        waiting.sort(key=lambda share: -share[0])
        for future in [pool.submit(run_tests, *words) for _, words in waiting]:
            parts.setdefault(future.result().name, []).append(future.result())
    results |= {name: together(shared) for name, shared in parts.items()}
    if not chosen.words:
        new = {chosen.key(e): by_file(results[e.name].cases) for e in ready}
        write_seconds(SECONDS, known, new)
    return [results[environment.name] for environment in environments]


def by_file(cases: list[Case]) -> dict[str, float]:
    """What the tests of each file took in sum."""
    seconds: dict[str, float] = {}
    for case in cases:
        seconds[case.file] = seconds.get(case.file, 0.0) + case.seconds
    return seconds


def count(report: Path, result: Result) -> None:
    """Add up pytest's JUnit report; there is none where Python itself died."""
    if not report.is_file():
        return
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        seconds = float(case.get("time", 0))
        said = f"{seconds:.1f}"
        if kinds & {"failure", "error"}:
            result.failed += 1
            said = "FAILED"
        elif "skipped" in kinds:
            result.skipped += 1
            said = "skipped"
        else:
            result.passed += 1
        place = case.get("classname", "").removeprefix("tests.blender.").removeprefix("tests.")
        file = next((part for part in place.split(".") if part.startswith("test_")), "")
        result.cases.append(Case(f"{place} {case.get('name')}", seconds, said, f"{file}.py"))


def write_matrix(path: Path, results: list[Result]) -> None:
    """Markdown: a row for each test inside Blender, a column for each Blender, seconds."""
    columns = [result for result in results if result.name.startswith("bpy")]
    said = {result.name: {case.name: case.said for case in result.cases} for result in columns}
    names = list(dict.fromkeys(name for result in columns for name in said[result.name]))
    lines = ["| test | " + " | ".join(result.name for result in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name in names:
        cells = (said[result.name].get(name, "") for result in columns)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    path.write_text("\n".join(lines) + "\n", "utf-8")


def print_slowest(results: list[Result]) -> None:
    """With what each had to make before it (fixtures), as JUnit's report counts."""
    cases = [(case.seconds, result.name, case.name) for result in results for case in result.cases]
    print(f"\nthe {SLOWEST} slowest, in seconds")
    for seconds, where, name in sorted(cases, reverse=True)[:SLOWEST]:
        print(f"{seconds:>7.1f}  {where:<8} {name}")


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
    parser.add_argument("--quick", action="store_true", help="one Blender, and only what is fast")
    parser.add_argument("--all", action="store_true", help="also what takes long")
    parser.add_argument("-k", metavar="EXPRESSION", help="run only the tests that match")
    parser.add_argument("--matrix", type=Path, metavar="FILE", help="table of the tests in Blender")
    parser.add_argument(
        "--processes", type=int, default=cores(), metavar="N", help="at a time (cores by default)"
    )
    arguments = parser.parse_args()
    environments, marks = all_environments(), ""
    if arguments.quick:
        marks = "not long and not slow"
        environments = [e for e in environments if not is_blender(e) or e.name in QUICK_BLENDERS]
    elif not (arguments.all or arguments.k):
        marks = "not long"
    chosen = Chosen(marks, arguments.k)
    results = run_all(environments, chosen, max(1, arguments.processes))
    print_slowest(results)
    print_table(results)
    if arguments.matrix:
        write_matrix(arguments.matrix, results)
    nothing = not any(r.passed for r in results)
    return 1 if nothing or any(r.failed for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
