"""Render scenes whose truth is known, to measure decompositions against.

    .envs/bpy-4.5/bin/python tools/scenes/make_truth_scenes.py --out /tmp/truth --size 256x144
    .envs/bpy-4.5/bin/python tools/scenes/make_truth_scenes.py disco --out /tmp/truth --frames 12

The scenes in samples/truth were made by

    .envs/bpy-4.5/bin/python tools/scenes/make_truth_scenes.py turning --out samples/truth \
        --size 176x100 --frames 16 --jpeg 90 --without flow clean
    .envs/bpy-4.5/bin/python tools/scenes/make_truth_scenes.py --out samples/truth \
        --size 176x100 --frames 16 --jpeg 90 --without uv flow clean

(the first seven by an earlier version, without `given`; of the later ones only walker is there).
Large ones are made by

    .envs/bpy-4.5/bin/python tools/scenes/make_truth_scenes.py walker --out OUT --size 960x540 \
        --frames 48

Writes OUT/<scene>/ as docs/reference/truth-folder.md says; a scene that has its truth.json is left
alone.
Cycles on the CPU: five seconds of one core a frame at 176x100, most of them for denoising.
"""

import argparse
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenes.truth.folder import OPTIONAL, Look, write_truth
from scenes.truth.scenes import SCENES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENES)}")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=_size, default=(192, 108), metavar="WxH")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--samples", type=int, default=24, help="of the beauty, a pixel")
    parser.add_argument("--jpeg", type=int, default=0, metavar="QUALITY",
                        help="write the light as JPEG, much smaller")  # fmt: skip
    parser.add_argument("--without", nargs="*", choices=OPTIONAL, default=[], metavar="PART",
                        help=f"leave out some of {', '.join(OPTIONAL)}")  # fmt: skip
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(SCENES))
    if unknown or arguments.frames < 2:
        parser.error(f"no scene {', '.join(unknown)}" if unknown else "two frames or more")
    look = Look(*arguments.size, arguments.frames, arguments.samples, arguments.jpeg,
                tuple(arguments.without))  # fmt: skip
    for name in arguments.names or SCENES:
        folder = arguments.out.resolve() / name
        if not (folder / "truth.json").exists():
            write_truth(SCENES[name](), look, folder)
    return 0


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match or int(match[1]) < int(match[2]):
        raise argparse.ArgumentTypeError(f"expected WxH, not higher than wide, found {text!r}")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    sys.exit(main())
