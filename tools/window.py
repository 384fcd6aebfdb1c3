"""A Blender with a window for machines without a screen: Debian's own, in a folder of its own.

    python3 tools/window.py                      make .envs/window, and say which Blender it holds

Blender from PyPI has no window. Where there is root on a Linux with debootstrap (or apt-get to
fetch it), Debian's newest Blender is installed below .envs/window together with an X server that
needs no screen (Xvfb), a mouse (xdotool), a camera for the screen (ImageMagick) and a reader of
what is written on it (tesseract): 1.4 GB, two minutes. Nothing outside of that folder changes.

Programs run in there by `start`, in a mount namespace that ends with them. The folders given to it
are seen at the same paths inside and outside, so that Blender in there and an engine out here can
work on the same files; `outside` makes a command inside that runs a program out here.
"""

import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from environments import ENVIRONMENTS, Failed, run

FOLDER = ENVIRONMENTS / "window"
STAMP = FOLDER / "nvd-stamp"
PACKAGES = (
    *("blender", "python3-numpy", "python3-cattr", "python3-requests", "python3-zstandard"),
    *("xvfb", "xauth", "xdotool", "imagemagick", "tesseract-ocr", "tesseract-ocr-eng"),
    *("libgl1-mesa-dri", "libegl1", "libgl1", "libegl-mesa0", "libglx-mesa0"),
)
SUITE = "sid"  # the stable release's Blender is older than the extension's newest
_NEEDED = ("debootstrap", "unshare", "mount", "chroot")


class NoWindow(Failed):
    """A Blender with a window cannot be had on this machine; the words say why."""


def ensure() -> str:
    """Make the folder where it is not finished; the version of its Blender.

    NoWindow where this machine cannot hold it, Failed where making it failed.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoWindow("a Blender with a window is set up on Linux by root only")
    if not shutil.which("debootstrap") and shutil.which("apt-get"):
        run(["apt-get", "update", "-qq"])
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"])
    missing = [name for name in _NEEDED if not shutil.which(name)]
    if missing:
        raise NoWindow(f"no {', '.join(missing)} on this machine")
    try:
        run(["unshare", "--mount", "true"])
    except Failed as error:
        raise NoWindow(f"this machine allows no mount namespace: {error}") from error
    wanted = " ".join(PACKAGES)
    if not (STAMP.is_file() and STAMP.read_text() == wanted):
        print(f"making .envs/{FOLDER.name} ...", flush=True)
        _make()
        STAMP.write_text(wanted)
    return version()


def version() -> str:
    command = ["chroot", FOLDER, "blender", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("Blender ")]
    if not lines:
        raise Failed(f"the Blender in {FOLDER} does not start:\n{done.stdout}\n{done.stderr}")
    return lines[0].removeprefix("Blender ")


def _make() -> None:
    if not (FOLDER / "usr/bin/apt-get").is_file():
        shutil.rmtree(FOLDER, ignore_errors=True)
        run(["debootstrap", "--variant=minbase", SUITE, FOLDER])
    # Packages are not to start services in here
    policy = FOLDER / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    # The mirror may be a snapshot, whose index has passed its date
    (FOLDER / "etc/apt/apt.conf.d/99snapshot").write_text('Acquire::Check-Valid-Until "false";\n')
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    inside = ["chroot", FOLDER, "apt-get", "-qq"]
    run([*inside, "update"], env=quiet)
    run([*inside, "install", "-y", "--no-install-recommends", *PACKAGES], env=quiet)
    run([*inside, "clean"])


def start(
    command: Sequence[object],
    *,
    folders: Sequence[Path],
    environment: dict[str, str],
    twins: dict[Path, Path] | None = None,
    **options,
) -> subprocess.Popen:
    """Start `command` inside; `folders` are the same inside and outside.

    environment: added to PATH and the locale. twins: a file of one of `folders`, and the program
    inside that is found at its place there. `options` are those of subprocess.Popen.
    """
    root = shlex.quote(str(FOLDER))
    lines = ["set -e", f"mount -t tmpfs none {root}/tmp"]
    for path in map(str, (*folders, "/proc", "/dev", "/dev/pts", "/dev/shm")):
        if Path(path).is_dir():
            inside = shlex.quote(f"{FOLDER}{path}")
            lines += [f"mkdir -p {inside}", f"mount --bind {shlex.quote(path)} {inside}"]
    for place, program in (twins or {}).items():
        lines.append(f"mount --bind {root}{program} {shlex.quote(f'{FOLDER}{place}')}")
    lines += [f"mkdir -p {root}/outside", f"mount --rbind / {root}/outside"]
    lines.append(f"exec chroot {root} {shlex.join(map(str, command))}")
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **environment}
    return subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", "\n".join(lines)], env=clean, **options
    )


def outside(place: Path, program: Path, environment: dict[str, str]) -> Path:
    """Write `place`, a command for both sides that runs `program` of this machine out here."""
    variables = shlex.join(f"{name}={value}" for name, value in environment.items())
    runs = f'/usr/bin/env -C "$PWD" {variables} {shlex.quote(str(program))} "$@"'
    _write_script(place, f"[ ! -d /outside ] || exec chroot /outside {runs}\nexec {runs}")
    return place


def inside(place: Path, program: Path) -> Path:
    """Write `place`, a command for out here that runs `program` inside; returns `place`.

    Inside, `start` puts the program itself at this place: see its `twins`.
    """
    _write_script(place, f'exec chroot {shlex.quote(str(FOLDER))} {program} "$@"')
    return place


def _write_script(place: Path, line: str) -> None:
    place.write_text(f"#!/bin/sh\n{line}\n")
    place.chmod(place.stat().st_mode | stat.S_IXUSR)


if __name__ == "__main__":
    try:
        print(f"Blender {ensure()} in {FOLDER}")
    except Failed as error:
        sys.exit(f"window: {error}")
