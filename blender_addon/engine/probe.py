"""Say what an engine's Python holds, as JSON lines; run by that Python.

    python probe.py PROTOCOL [--all [--wanted=cuda|auto]]

Ends with code 0 where the engine is there and speaks PROTOCOL, otherwise with 2 and an `error`
line. --all imports torch as well, which takes seconds, and tells the device and what is missing.
--wanted=cuda fails where torch cannot use the GPU, --wanted=auto warns by a `caution` line.
Standard library only, and no import from the extension.
"""

import importlib.metadata
import json
import platform
import re
import sys

sys.path.pop(0)  # the extension's own modules are not the engine's


def missing_libraries() -> list[str]:
    """What the installed engine says it needs and is not there; an older one needs less."""
    try:
        needed = importlib.metadata.requires("nvd-core") or []
    except importlib.metadata.PackageNotFoundError:  # run from a checkout: nothing says it
        return []
    missing = []
    for requirement in needed:
        name, _, condition = requirement.partition(";")
        if condition:  # of the tests, or of another platform
            continue
        name = re.match(r"[\w.-]+", name).group()
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    return missing


def emit(event: str, **values) -> None:
    print(json.dumps({"event": event, **values}), flush=True)


def fail(problem: str, remedy: str, button: str = "") -> int:
    emit("error", problem=problem, remedy=remedy, button=button)
    return 2


def why_no_cuda(torch) -> str:
    """In plain words why `torch.cuda.is_available()` is False."""
    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} was built for the CPU alone"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).strip().splitlines()[0]
    return "no reason is given"


def main(wanted: int, everything: bool, device: str = "") -> int:
    install = "nvd.install_engine"
    if sys.version_info < (3, 11):  # noqa: UP036 - run by whatever Python was chosen
        found = f"{sys.executable} is Python {platform.python_version()}"
        return fail(found, "choose one of Python 3.11 or newer", install)
    try:
        import nvd_core
    except ImportError as error:
        return fail(f"{sys.executable} holds no engine ({error})", "install the engine", install)
    protocol = getattr(nvd_core, "PROTOCOL", 0)
    if protocol != wanted:
        older = "extension" if protocol > wanted else "engine"
        return fail(
            f"the engine ({nvd_core.__version__}) speaks protocol {protocol}, "
            f"this extension protocol {wanted}",
            f"update the {older}",
            install if older == "engine" else "",
        )
    facts = {"version": nvd_core.__version__, "protocol": protocol, "python": sys.executable}
    if missing := missing_libraries():
        return fail(f"the engine lacks {', '.join(missing)}", "install the engine again", install)
    if everything:
        import torch

        facts["torch"] = torch.__version__
        cuda = torch.cuda.is_available()
        facts["device"] = torch.cuda.get_device_name(0) if cuda else "CPU"
        facts["cuda"] = torch.version.cuda or ""
        if device and not cuda:
            problem = f"the engine cannot use the NVIDIA GPU: {why_no_cuda(torch)}"
            if device == "cuda":
                return fail(
                    problem,
                    "bring the NVIDIA driver up to date and install the engine again, or choose "
                    "the build CPU in the preferences",
                    install,
                )
            emit("caution", text=f"{problem}. It works on the CPU, and takes many times as long")
    emit("result", **facts)
    return 0


if __name__ == "__main__":
    given = [word.partition("=")[2] for word in sys.argv if word.startswith("--wanted=")]
    sys.exit(main(int(sys.argv[1]), "--all" in sys.argv, *given[:1]))
