"""What a job has said so far: its log, read as it grows."""

import json
from pathlib import Path

from ..errors import AddonError

READ_LIMIT = 1 << 16  # bytes taken in at a time


class JobLog:
    """The events of the newest run in a job's log.

    `stage`, `done`, `total`, `seconds_left`, `psnr` and `preview` are the newest progress, `step`
    the (number, of how many) of the process that runs, `message` the newest line for people,
    `result` what was reported at the end, `error` an AddonError, `exit_code` the last word.
    """

    def __init__(self, path: Path):
        self.path = path
        self._place = max(0, self._size() - READ_LIMIT)
        self.forget()

    def forget(self) -> None:
        """Begin anew: what was read so far belongs to an earlier run."""
        self._rest = b""
        self.stage, self.done, self.total = "", 0, 0
        self.seconds_left: float | None = None
        self.psnr: float | None = None
        self.preview = ""
        self.step = (0, 0)
        self.message = ""
        self.cautions: list[str] = []
        self.result: dict = {}
        self.error: AddonError | None = None
        self.exit_code: int | None = None
        self.said_cancelled = False

    def skip(self) -> None:
        """Go to the end of the log and forget what stands there."""
        self._place = self._size()
        self.forget()

    def read(self) -> bool:
        """Take in a limited amount of what is new; returns whether the end was reached."""
        if not self.path.is_file():
            return True
        with self.path.open("rb") as file:
            file.seek(self._place)
            new = file.read(READ_LIMIT)
        self._place += len(new)
        *lines, rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._take(line.decode("utf-8", "replace").strip())
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
            self.message = line or self.message  # pip and Blender speak plain text
            return
        try:
            values = json.loads(line)
        except ValueError:
            return  # half a line of a process that was killed
        take = getattr(self, f"_take_{values.get('event')}", None)
        if take is not None:
            take(values)

    def _take_start(self, _values: dict) -> None:
        self.forget()

    def _take_step(self, values: dict) -> None:
        self.step = (values["number"], values["of"])
        self.stage, self.done, self.total = values["title"], 0, 0
        self.seconds_left = None

    def _take_progress(self, values: dict) -> None:
        self.stage, self.done, self.total = values["stage"], values["done"], values["total"]
        self.seconds_left = values.get("seconds_left")
        self.psnr = values.get("psnr", self.psnr)
        self.preview = values.get("preview", self.preview)

    def _take_caution(self, values: dict) -> None:
        self.cautions.append(values["text"])

    def _take_message(self, values: dict) -> None:
        self.message = values["text"]

    def _take_result(self, values: dict) -> None:
        self.result = {key: value for key, value in values.items() if key != "event"}

    def _take_cancelled(self, _values: dict) -> None:
        self.said_cancelled = True

    def _take_error(self, values: dict) -> None:
        details = [f"{word} {values[word]}" for word in ("expected", "found") if word in values]
        problem = values["problem"] + (f" ({'; '.join(details)})" if details else "")
        self.error = AddonError(problem, values.get("remedy", ""), values.get("button", ""))

    def _take_exit(self, values: dict) -> None:
        self.exit_code = values["code"]
