"""What `nvd` says where it refuses, both lines, byte for byte."""

from pathlib import Path

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.media.images import write_image

CASES = {
    "no such source": "decompose TMP/none.mp4 --out TMP/o.nvd",
    "no --out": "decompose TMP/clip/frames",
    "what paint needs": "paint",
    "no such option": "decompose TMP/clip/frames --out TMP/o.nvd --fast",
    "an empty folder": "decompose TMP/empty --out TMP/o.nvd",
    "a clip of one frame": "decompose TMP/clip/frames/0000.png --out TMP/o.nvd",
    "a frame is missing": "decompose TMP/gap --out TMP/o.nvd",
    "two sequences": "decompose TMP/two --out TMP/o.nvd",
    "two kinds of image": "decompose TMP/kinds --out TMP/o.nvd",
    "a pattern that matches nothing": "decompose TMP/clip/shot.%04d.png --out TMP/o.nvd",
    "a pattern of two numbers": "decompose TMP/clip/%d.%d.png --out TMP/o.nvd",
    "a frame that is damaged": "decompose TMP/damaged --out TMP/o.nvd",
    "a frame of another size": "decompose TMP/sizes --out TMP/o.nvd",
    "frames out of the clip": "decompose TMP/clip/frames --out TMP/o.nvd --frames 3-99",
    "frames that run backwards": "decompose TMP/clip/frames --out TMP/o.nvd --frames 5-3",
    "a margin below 0": "decompose TMP/clip/frames --out TMP/o.nvd --mask-margin=-1",
    "a mask without a name": "decompose TMP/clip/frames --out TMP/o.nvd --mask TMP/clip/masks",
    "no such mask": "decompose TMP/clip/frames --out TMP/o.nvd --mask disc=TMP/empty/none",
    "a mask of another length": "decompose TMP/clip/frames --out TMP/o.nvd --mask disc=TMP/fewer",
    "an empty mask": "decompose TMP/clip/frames --out TMP/o.nvd --mask disc=TMP/black",
    "a white mask": "decompose TMP/clip/frames --out TMP/o.nvd --mask disc=TMP/white",
    "no such objects": "decompose TMP/clip/frames --out TMP/o.nvd --objects TMP/empty",
    "objects that go nowhere": "objects TMP/clip/frames",
    "a folder that holds something": "decompose TMP/clip/frames --out TMP/full",
    "no such settings": "decompose TMP/clip/frames --out TMP/o.nvd --settings TMP/none.yaml",
    "info of no decomposition": "info TMP/clip",
    "evaluate of no decomposition": "evaluate TMP/clip",
    "render of no decomposition": "render TMP/clip --out TMP/a.mp4",
    "resume of nothing": "resume TMP/none.nvd",
    "no such layer": "render TMP/shot.nvd --out TMP/a.mp4 --edit bird=TMP/white/0000.png",
    "no such edit": "render TMP/shot.nvd --out TMP/a.mp4 --edit dog=TMP/none.png",
    "no such kind of output": "render TMP/shot.nvd --out TMP/a.txt",
    "rendered frames out of the shot": "render TMP/shot.nvd --out TMP/a.mp4 --frames 1-9",
    "no such list of runs": "reproduce TMP/none.yaml --out TMP/runs",
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, tiny_clip, synthetic) -> Path:
    """What the cases are called with; they change none of it."""
    folder = tmp_path_factory.mktemp("inputs")
    tiny_clip.write(folder / "clip")
    frame = np.zeros((tiny_clip.HEIGHT, tiny_clip.WIDTH, 3), np.uint8)
    for name in ("empty", "full"):
        (folder / name).mkdir()
    (folder / "full" / "letter.txt").write_text("dear")
    for name in ("gap/0.png", "gap/1.png", "gap/3.png", "two/a1.png", "two/a2.png", "two/b1.png",
                 "two/b2.png", "kinds/1.png", "kinds/2.jpg", "damaged/0.png", "damaged/1.png",
                 "sizes/0.png"):  # fmt: skip
        write_image(folder / name, frame)
    (folder / "damaged" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    write_image(folder / "sizes" / "1.png", frame[:, 8:])
    for t in range(tiny_clip.FRAMES):
        for name, value in (("black", 0), ("white", 255)):
            write_image(folder / name / f"{t:04d}.png", np.full_like(frame[..., :1], value))
    for name in "abc":
        write_image(folder / "fewer" / f"{name}.png", np.full_like(frame[..., :1], 255))
    synthetic.make_shot(folder / "shot.nvd")
    return folder


def test_refusals_are_pinned(inputs, snapshot, capfd):
    said = {}
    for number, (case, words) in enumerate(CASES.items()):
        out = f"{number}.nvd"  # each its own, since a refusal may come after the folder was begun
        code = main(words.replace("o.nvd", out).replace("TMP", str(inputs)).split(" "))
        lines = capfd.readouterr().err.strip().splitlines()[-2:]  # progress may stand above
        assert code == 2, (case, code, lines)
        assert lines[0].startswith("nvd: ") and lines[1].startswith("what to do: "), (case, lines)
        text = "\n".join(lines).replace("\\", "/")
        said[case] = text.replace(str(inputs).replace("\\", "/"), "TMP").replace(out, "o.nvd")
    snapshot("messages").check(said)
