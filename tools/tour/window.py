"""A Blender with a window for machines without a screen: Debian's own, in a folder of its own.

    python3 tools/tour/window.py       make .envs/window, and say which Blender it holds

Blender from PyPI has no window. Where there is root on a Linux with debootstrap (or apt-get to
fetch it), Debian's newest Blender is installed below .envs/window together with an X server that
needs no screen (Xvfb), a mouse (xdotool), a camera for the screen (ImageMagick) and a reader of
what is written on it (tesseract): 1.4 GB, two minutes. Nothing but debootstrap itself is installed
outside of that folder.

`start_blender` runs it in a mount namespace that ends with it. The project and a working folder are
seen at the same paths inside and outside, so that Blender in there and the engine out here work on
the same files and start each other.
"""

import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from environments import ENVIRONMENTS, ROOT, Failed, run

FOLDER = ENVIRONMENTS / "window"
STAMP = FOLDER / "nvd-stamp"
PACKAGES = (
    *("blender", "python3-numpy", "python3-cattr", "python3-requests", "python3-zstandard"),
    *("xvfb", "xauth", "xdotool", "imagemagick", "tesseract-ocr", "tesseract-ocr-eng"),
    *("libgl1-mesa-dri", "libegl1", "libgl1", "libegl-mesa0", "libglx-mesa0"),
)
BLENDER = "/usr/bin/blender"
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
        _fetch(_install_debootstrap)
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
        _fetch(_make)
        STAMP.write_text(wanted)
    return version()


def version() -> str:
    command = ["chroot", FOLDER, "blender", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("Blender ")]
    if not lines:
        raise Failed(f"the Blender in {FOLDER} does not start:\n{done.stdout}\n{done.stderr}")
    return lines[0].removeprefix("Blender ")


def _fetch(step: Callable[[], None]) -> None:
    """Run a step that downloads; NoWindow where it cannot, as without a network."""
    try:
        step()
    except Failed as error:
        raise NoWindow(f"its packages cannot be had here:\n{error}") from error


def _install_debootstrap() -> None:
    run(["apt-get", "update", "-qq"])
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"])


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


def start_blender(
    arguments: Sequence[object],
    work: Path,
    engine: Path,
    *,
    before: Sequence[object] = (),
    **options,
) -> subprocess.Popen:
    """Start the Blender inside with `arguments`, in a session of its own.

    work: a folder that is the same inside and outside, as is the project's; Blender's settings go
    into it. engine: the engine's Python out here. before: what Blender is started by, such as
    xvfb-run. options: those of subprocess.Popen.
    """
    python, blender = work / "engine-python", work / "blender"
    # Inside this is the way out to the engine, and out here the engine
    outward = f'/usr/bin/env -C "$PWD" PYTHONPATH={_quoted(ROOT)} {_quoted(engine)} "$@"'
    _write_script(python, f"[ ! -d /outside ] || exec chroot /outside {outward}\nexec {outward}")
    # Out here this is the way in to Blender, for what the engine's process starts; inside, Blender
    _write_script(blender, f'exec chroot {_quoted(FOLDER)} {BLENDER} "$@"')
    lines = ["set -e", f"mount -t tmpfs none {_inside('/tmp')}"]
    for path in (ROOT, work, "/proc", "/dev", "/dev/pts", "/dev/shm"):
        if Path(path).is_dir():
            lines += [f"mkdir -p {_inside(path)}", f"mount --bind {_quoted(path)} {_inside(path)}"]
    lines.append(f"mount --bind {_inside(BLENDER)} {_inside(blender)}")
    lines += [f"mkdir -p {_inside('/outside')}", f"mount --rbind / {_inside('/outside')}"]
    command = shlex.join(map(str, [*before, blender, *arguments]))
    lines.append(f"exec chroot {_quoted(FOLDER)} {command}")
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": str(work),
        "NVD_PYTHON": str(python),
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "GALLIUM_DRIVER": "llvmpipe",
        "OMP_WAIT_POLICY": "PASSIVE",  # the engine's waiting threads are not to take Blender's time
    }
    return subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", "\n".join(lines)],
        env=environment,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        **options,
    )


def _quoted(path: Path | str) -> str:
    return shlex.quote(str(path))


def _inside(path: Path | str) -> str:
    """What is `path` inside, as seen from out here."""
    return _quoted(f"{FOLDER}{path}")


def _write_script(place: Path, line: str) -> None:
    place.write_text(f"#!/bin/sh\n{line}\n")
    place.chmod(place.stat().st_mode | stat.S_IXUSR)


if __name__ == "__main__":
    try:
        print(f"Blender {ensure()} in {FOLDER}")
    except Failed as error:
        sys.exit(f"window: {error}")
