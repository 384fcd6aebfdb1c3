"""The commands of batch.py and of `blender --command nvd`, as functions and as a command line."""

import bpy

from ..errors import AddonError
from .say import Cancelled, say_json, say_plainly
from .words import parser

OK, BAD_INPUT, STOPPED = 0, 2, 130


def main(words: list[str]) -> int:
    """Run one command; returns its exit code: 0 done, 2 bad input or failure, 130 cancelled."""
    as_json = "--json" in words
    say = say_json if as_json else say_plainly
    try:
        given = parser().parse_args(words)
        say("result", **given.run(given, say))
    except AddonError as error:
        say("error", problem=error.problem, remedy=error.remedy)
        return BAD_INPUT
    except (Cancelled, KeyboardInterrupt):
        say("cancelled", text="cancelled; the same command goes on where it stopped")
        return STOPPED
    return OK


_command = None  # what Blender gave for `blender --command nvd`


def register():
    global _command
    _command = bpy.utils.register_cli_command("nvd", main)


def unregister():
    bpy.utils.unregister_cli_command(_command)
