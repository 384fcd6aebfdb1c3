"""What a job has said so far: its log, read as it grows.

Whatever stands there, reading it does not fail: an event whose values are not what they should be
is passed over, and counted in `unread`.
"""

from pathlib import Path

from ..blender.inside import open_file
from ..errors import AddonError, visible
from . import checked_json
from .checked_json import Odd

READ_LIMIT = 1 << 16  # bytes taken in at a time
LINE_LIMIT = 1 << 20  # bytes of a line
WORDS_LIMIT = 1 << 20  # bytes of a log that are shown to people
MOST_CAUTIONS = 20
MOST_READS = 40
MOST_IMAGES = 1_000_000
ANYWAY = "nvd.resume_anyway"


class JobLog:
    """The events of the newest run in a job's log.

    `stage`, `done`, `total`, `seconds_left`, `psnr` and `preview` are the newest progress, `step`
    the (number, of how many) of the process that runs, `message` the newest line for people,
    `ready` which refinement of its decomposition can be painted on (0: the draft; None: not yet),
    `result` what was reported at the end, `error` an AddonError, `exit_code` the last word.
    `images` are the frames whose images stand, of a render that tells of each.
    `reads` is what the engine would read and asks the artist about first, in words.
    `unread` counts the lines that could not be understood, `odd` says why, of the newest.
    """

    def __init__(self, path: Path):
        self.path = path
        self._place = max(0, self._size() - READ_LIMIT)
        self._takers = {
            "start": self._take_start,
            "step": self._take_step,
            "progress": self._take_progress,
            "caution": self._take_caution,
            "message": self._take_message,
            "ready": self._take_ready,
            "images": self._take_images,
            "result": self._take_result,
            "cancelled": self._take_cancelled,
            "error": self._take_error,
            "exit": self._take_exit,
        }
        self.forget()
        self._from_the_middle = self._place > 0

    def forget(self) -> None:
        """Begin anew: what was read so far belongs to an earlier run."""
        self._rest = b""
        self._from_the_middle = False
        self.stage, self.done, self.total = "", 0, 0
        self.seconds_left: float | None = None
        self.psnr: float | None = None
        self.preview = ""
        self.step = (0, 0)
        self.message = ""
        self.cautions: list[str] = []
        self.ready: int | None = None
        self.images: set[int] = set()
        self.result: dict = {}
        self.error: AddonError | None = None
        self.reads: list[str] = []
        self.exit_code: int | None = None
        self.said_cancelled = False
        self.unread, self.odd = 0, ""

    def skip(self) -> None:
        """Go to the end of the log and forget what stands there."""
        self._place = self._size()
        self.forget()

    def read(self) -> bool:
        """Take in a limited amount of what is new; returns whether the end was reached.

        OSError where the file is there and cannot be read.
        """
        try:
            with open_file(self.path) as file:
                file.seek(self._place)
                new = file.read(READ_LIMIT)
        except FileNotFoundError:
            return True
        self._place += len(new)
        *lines, rest = (self._rest + new).split(b"\n")
        for line in lines[self._from_the_middle :]:
            self._take(line.decode("utf-8", "replace").strip())
        self._from_the_middle = self._from_the_middle and not lines
        if len(rest) > LINE_LIMIT:
            self._pass_over("a line without end")
            rest, self._from_the_middle = b"", True
        self._rest = rest
        return len(new) < READ_LIMIT

    @property
    def fraction(self) -> float:
        """How far the present stage has come, or the steps where it tells nothing, 0 to 1."""
        if self.total:
            return min(1.0, self.done / self.total)
        return (self.step[0] - 1) / self.step[1] if self.step[1] else 0.0

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def _take(self, line: str) -> None:
        if not line.startswith("{"):
            said = visible(checked_json.clean(line[:1000]))  # by pip or Blender
            self.message = said or self.message
            return
        try:
            values = checked_json.parse(line)
            event = values.get("event")
            take = self._takers.get(event) if isinstance(event, str) else None
            if take is not None:
                take(values)
        except Odd as odd:  # half a line of a process that was killed, or a stranger's
            self._pass_over(str(odd))

    def _pass_over(self, why: str) -> None:
        self.unread += 1
        self.odd = why

    def _take_start(self, _values: dict) -> None:
        self.forget()

    def _take_step(self, values: dict) -> None:
        of = checked_json.whole(values, "of", 1)
        number, title = (
            checked_json.whole(values, "number", 1, of),
            checked_json.text(values, "title"),
        )
        self.step, self.stage = (number, of), title
        self.done, self.total, self.seconds_left = 0, 0, None

    def _take_progress(self, values: dict) -> None:
        stage = checked_json.text(values, "stage")
        done, total = (checked_json.whole(values, name) for name in ("done", "total"))
        seconds_left = checked_json.number(values, "seconds_left")
        psnr = checked_json.number(values, "psnr")
        preview = checked_json.path(values, "preview", self.preview)
        self.stage, self.done, self.total = stage, done, total
        self.seconds_left = seconds_left if seconds_left is None else max(0.0, seconds_left)
        self.psnr = self.psnr if psnr is None else psnr
        self.preview = preview

    def _take_caution(self, values: dict) -> None:
        text = checked_json.text(values, "text")
        if text not in self.cautions and len(self.cautions) < MOST_CAUTIONS:
            self.cautions.append(text)

    def _take_message(self, values: dict) -> None:
        self.message = checked_json.text(values, "text")

    def _take_ready(self, values: dict) -> None:
        self.ready = checked_json.whole(values, "refinement")

    def _take_images(self, values: dict) -> None:
        frames: set[int] = set()
        left = MOST_IMAGES
        for one in checked_json.listed(values, "frames"):
            pair = one if isinstance(one, list) and len(one) == 2 else [None, None]
            ends = {"first": pair[0], "last": pair[1]}
            first = checked_json.whole(ends, "first", 0, MOST_IMAGES)
            last = checked_json.whole(ends, "last", first, first + left - 1)
            left -= last - first + 1
            frames.update(range(first, last + 1))
        self.images |= frames

    def _take_result(self, values: dict) -> None:
        self.result = {key: value for key, value in values.items() if key != "event"}

    def _take_cancelled(self, _values: dict) -> None:
        self.said_cancelled = True

    def _take_error(self, values: dict) -> None:
        details = [
            f"{word} {checked_json.text(values, word)}"
            for word in ("expected", "found")
            if values.get(word) is not None
        ]
        problem = checked_json.text(values, "problem")
        problem += f" ({'; '.join(details)})" if details else ""
        remedy, button = (checked_json.text(values, name, "") for name in ("remedy", "button"))
        self.reads = _reads(values.get("reads"))
        self.error = AddonError(problem, remedy, ANYWAY if self.reads else button)

    def _take_exit(self, values: dict) -> None:
        self.exit_code = checked_json.whole(values, "code", -(2**31), 2**32)


def _reads(values: object) -> list[str]:
    """What the engine asks about; empty where it asks nothing."""
    found = values if isinstance(values, list) else []
    return [visible(line[: checked_json.TEXT_LIMIT]) for line in found if isinstance(line, str)][
        :MOST_READS
    ]


def last_words(path: Path) -> str:
    """The end of a text file, all of it visible; "" where there is none."""
    try:
        with open_file(path) as file:
            start = max(0, path.stat().st_size - WORDS_LIMIT)
            file.seek(start)
            text = file.read(WORDS_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = ["(what came before is left out)"] if start else []
    text = text.replace("\r\n", "\n")
    return "\n".join(lines + [visible(line) for line in text.split("\n")])


def last_line(path: Path) -> str:
    """The last line of a text file, "" where there is none."""
    try:
        with open_file(path) as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return visible(checked_json.clean(lines[-1])) if lines else ""
