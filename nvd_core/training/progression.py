"""Where a training stands in its schedule, through which it may hurry; kept in its checkpoint.

Steps are counted as they are taken. The *place* of a step is the step of the whole schedule that it
stands for: the same, until the training hurries.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from msgspec import Meta
from safetensors import SafetensorError, safe_open

from nvd_core.runtime.declared import JSON, Fault, read, within
from nvd_core.runtime.documents import Unreadable, parse_json
from nvd_core.runtime.reading import reading

LOOKS = 20
"""in a whole schedule, evenly spread"""
OVER = 2
"""looks over which a gain is taken: a tenth of the schedule"""
HURRY = 0.2
"""of the steps that are left when it begins to hurry, those still taken"""
KEY = "progression"
"""of the checkpoint's metadata"""
_MOST_STEPS = 2**31
_REMEDY = "remove the folder and run `nvd decompose` again"


@dataclass
class Progression:
    """What a checkpoint keeps of it."""

    planned: Annotated[int, within(1, _MOST_STEPS)]
    """steps of the whole schedule"""
    least: Annotated[float, within(0, 1000)] = 0.0
    """what OVER looks have to bring, 1/255, or it hurries; 0: it never does, and does not look"""
    since: Annotated[int, within(0, _MOST_STEPS)] = 0
    """place from which gains count: before it, something else is learned than after it"""
    figures: Annotated[list[Annotated[float, within(0, 1000)]], Meta(max_length=LOOKS)] = field(
        default_factory=list
    )
    """root mean square error at each look so far, 1/255"""
    hurried: Annotated[int, within(0, _MOST_STEPS)] | None = None
    """the step after which it hurries, if it does"""
    taken: Annotated[int, within(0, 1000)] = 0
    """predictions since the last look"""

    @property
    def steps(self) -> int:
        """How many steps there are in all, as far as is known."""
        if self.hurried is None:
            return self.planned
        return self.hurried + math.ceil((self.planned - self.hurried) * HURRY)

    def place(self, step: int) -> float:
        """The step of the whole schedule for which `step` stands."""
        if self.hurried is None or step <= self.hurried:
            return step
        left = self.steps - self.hurried
        return self.hurried + (step - self.hurried) * (self.planned - self.hurried) / left

    @property
    def looking(self) -> bool:
        """Whether there is another look to come."""
        return self.least > 0 and self.hurried is None and len(self.figures) < LOOKS - 1

    @property
    def next_look(self) -> int:
        """The step after which it looks again."""
        return round((len(self.figures) + 1) * self.planned / LOOKS)

    @property
    def gain(self) -> float:
        """What the last OVER looks have brought, 1/255; infinite before there are as many."""
        first = (len(self.figures) - OVER) * self.planned / LOOKS
        if len(self.figures) <= OVER or first < self.since:
            return math.inf
        return self.figures[-1 - OVER] - self.figures[-1]

    def look(self, step: int, figure: float) -> bool:
        """Take in the figure of the look after `step`; whether it hurries from there on."""
        self.figures.append(figure)
        self.taken = 0
        if self.gain < self.least:
            self.hurried = step
        return self.hurried is not None

    @property
    def why(self) -> str | None:
        """Why there are fewer steps than planned, in a sentence; None where there are not."""
        if self.hurried is None:
            return None
        over = round(OVER * self.planned / LOOKS)
        return (
            f"{self.steps} steps of training in place of {self.planned}, since the {over} before "
            f"step {self.hurried} brought the pictures only {self.gain:.2f}/255 nearer to the clip "
            f"(early_stop: {self.least:g}); from there on the rates fall {round(1 / HURRY)} times "
            "as fast"
        )

    def to_json(self) -> str:
        """As the metadata of a checkpoint hold it."""
        return json.dumps(asdict(self))


def read_progression(path: Path) -> Progression | None:
    """What the checkpoint at `path` keeps, from its header alone; None where it keeps nothing.

    NvdError where it is damaged.
    """
    with reading(path, "the checkpoint", _REMEDY, also=(SafetensorError,)):
        with safe_open(path, "np") as file:
            text = (file.metadata() or {}).get(KEY)
        if text is None:
            return None
        try:
            found = read(Progression, parse_json(text), JSON)
        except Fault as fault:
            raise Unreadable(f"{fault.key}: {fault.found}, not {fault.expected}") from fault
        if found.hurried is not None and found.hurried >= found.planned:
            raise Unreadable(f"{found.hurried} of {found.planned} steps")
        return found
