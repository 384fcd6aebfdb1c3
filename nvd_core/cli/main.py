"""The command `nvd`: parse, call, print.

Exit code 0 done, 2 bad input, 70 a fault of the program, 130 cancelled.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from nvd_core import __version__
from nvd_core.begun import is_begun
from nvd_core.cli.arguments import Parser, whole
from nvd_core.cli.commands import add_commands
from nvd_core.cli.decompose import add_decompose, add_resume, run_decompose, run_resume
from nvd_core.cli.map_commands import add_maps, add_purge
from nvd_core.cli.objects import add_objects
from nvd_core.cli.render import add_render
from nvd_core.cli.report import add_evaluate, add_info
from nvd_core.cli.segment import add_segment
from nvd_core.cli.stopping import CANCELLED, end, end_at_once, stop_with_stdin, stopping
from nvd_core.cli.unexpected import DEBUG, foreseen, unexpected
from nvd_core.runtime.cores import limit_threads
from nvd_core.runtime.errors import Cancelled, NvdError, Unconfirmed
from nvd_core.runtime.log_file import LogFile
from nvd_core.runtime.memory import check_start
from nvd_core.runtime.progress import JsonProgress, RichProgress
from nvd_core.runtime.shown import visible

BAD_INPUT = 2
LONGEST_RESULT = 4000  # characters of a line of the log
UNEXPECTED = 70
"""EX_SOFTWARE of sysexits.h"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command, by itself that of the process; returns the exit code.

    The process ends here then: to take down an interpreter with torch takes half a second of the
    processor, as much as to bake a frame.
    """
    code = _main(arguments)
    if arguments is None and code == CANCELLED:
        end_at_once(code)
    if arguments is None and sys.getprofile() is None and sys.gettrace() is None:
        end(code)
    return code


def _main(arguments: list[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    parsed, log = argparse.Namespace(), None
    if hasattr(sys.stdout, "reconfigure"):  # a name that the console's encoding lacks is no fault
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        parsed = _parser().parse_args(arguments)
        check_start()
        if parsed.threads:
            limit_threads(parsed.threads)
        if parsed.log:
            log = LogFile(parsed.log)
            log.begin(given)
        return _ended(log, _run(parsed, log))
    except NvdError as error:
        _print_error(error, "--json" in given, log)
        return _ended(log, BAD_INPUT)
    except BrokenPipeError:  # whoever read our output is gone
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the interpreter closes it
        return CANCELLED
    except KeyboardInterrupt:  # asked for twice
        return CANCELLED
    except Exception as error:
        if os.environ.get(DEBUG) == "1":
            raise
        if told := foreseen(error):
            _print_error(told, "--json" in given, log)
            return _ended(log, BAD_INPUT)
        _print_error(unexpected(error, _folder_of(parsed)), "--json" in given, log)
        return _ended(log, UNEXPECTED)
    finally:
        if log:
            log.close()


def _ended(log: LogFile | None, code: int) -> int:
    if log:
        log.write(f"ends with exit code {code}")
    return code


def _run(parsed: argparse.Namespace, log: LogFile | None) -> int:
    """Run the parsed command; where it needs the user's word and there is a terminal, ask."""
    try:
        return _run_once(parsed, log)
    except Unconfirmed as error:
        if not _agrees(error, parsed):
            raise
        parsed.yes = True
        return _run_once(parsed, log)


def _agrees(error: Unconfirmed, parsed: argparse.Namespace) -> bool:
    """Ask at the terminal, where there is one; never where a program reads what we say."""
    if parsed.json or not all(stream and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        return False
    print(visible(error.problem) + ":", file=sys.stderr)
    for line in error.reads:
        print(f"  {visible(line)}", file=sys.stderr)
    print("Read them and go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _run_once(parsed: argparse.Namespace, log: LogFile | None) -> int:
    """Run the parsed command with progress shown and cancellation wired up."""
    with JsonProgress() if parsed.json else RichProgress() as progress:
        progress.log = log
        try:
            with stopping(progress, lambda: _last_words(parsed)) as watcher:
                if parsed.stop_with_stdin and watcher:
                    stop_with_stdin(watcher)
                result = parsed.command(parsed, progress)
        except Cancelled:
            if parsed.json:
                progress.emit("cancelled", text=_cancelled(parsed))
                if log:
                    log.write(_cancelled(parsed))
            else:
                progress.message(_cancelled(parsed))
            return CANCELLED
    if log:
        log.write("; ".join(f"{name} {value}" for name, value in result.items())[:LONGEST_RESULT])
    _print_result(result, parsed.json)
    return 0


def _cancelled(parsed: argparse.Namespace) -> str:
    """What is said of a command that was stopped."""
    folder = _folder_of(parsed)
    if parsed.command in (run_decompose, run_resume) and folder and is_begun(folder):
        return f"cancelled; go on with: nvd resume {folder}"
    if getattr(parsed, "shots", False):
        return "cancelled; the same command goes on where it stopped"
    return "cancelled"


def _last_words(parsed: argparse.Namespace) -> tuple[int, str]:
    """The same of one that did not come to say it, and the descriptor for it."""
    text = _cancelled(parsed)
    line = json.dumps({"event": "cancelled", "text": text}) if parsed.json else text
    return 1 if parsed.json else 2, line + "\n"


def _folder_of(parsed: argparse.Namespace) -> Path | None:
    """The decomposition folder that a command is about, where it is about one."""
    if getattr(parsed, "command", None) is run_decompose:
        return parsed.out
    shot = getattr(parsed, "shot", None)
    return shot[0] if isinstance(shot, list) else shot


def _print_result(result: dict, as_json: bool) -> None:
    """Print a command's figures: one JSON line, or a name and its value a line."""
    if as_json:
        JsonProgress().emit("result", **result)
        return
    for name, value in result.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value)) or "none"
        print(visible(f"{name.replace('_', ' ')}: {value}"))


def _print_error(error: NvdError, as_json: bool, log: LogFile | None = None) -> None:
    if log:
        log.write(f"error: {error}; what to do: {error.remedy}")
    if as_json:
        JsonProgress().emit(
            "error",
            problem=error.problem,
            expected=error.expected or None,
            found=error.found or None,
            remedy=error.remedy,
            reads=list(error.reads) if isinstance(error, Unconfirmed) else None,
        )
        return
    print(visible(f"nvd: {error}"), file=sys.stderr)
    print(visible(f"what to do: {error.remedy}"), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="nvd", description="Decompose a clip into layers that can be painted on.")
    parser.add_argument("--version", action="version", version=f"nvd {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    made = [add_decompose(commands), add_resume(commands), add_render(commands)]
    made += [add_evaluate(commands), add_info(commands)]
    made += [*add_commands(commands), add_maps(commands), add_purge(commands)]
    made += [add_objects(commands), add_segment(commands)]
    for command in made:
        command.add_argument("--json", action="store_true", help="print one JSON object a line")
        command.add_argument(
            "--stop-with-stdin",
            action="store_true",
            help="stop when standard input, a pipe, is closed: for a program that starts this one",
        )
        command.add_argument(
            "--log",
            type=Path,
            metavar="FILE",
            help="also write what is said to FILE, with the time, after what stands there",
        )
        command.add_argument(
            "--threads",
            type=whole(1, 1024),
            metavar="N",
            help="work with at most N threads; by default with as many as the machine has cores",
        )
    return parser
