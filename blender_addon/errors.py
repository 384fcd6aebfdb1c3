"""The exception that an artist can meet: what went wrong, and what to do about it."""

import re

_INVISIBLE = re.compile(
    "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    """`text` with all that would not show as itself escaped: ESC becomes \\x1b.

    Names from a stranger's files come into labels, reports and the console. They are never read as
    markup there, which Blender has none of.
    """
    return _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


class AddonError(Exception):
    """A problem with its remedy.

    `button` names an operator that does the remedy, such as "nvd.install_engine"; "" where there
    is none. What does not print is made visible.
    """

    def __init__(self, problem: str, remedy: str, button: str = ""):
        problem, remedy = visible(problem), visible(remedy)
        super().__init__(f"{problem}: {remedy}")
        self.problem = problem
        self.remedy = remedy
        self.button = button
