"""The words that the stack of edits has for kinds, blending and ends; the command line offers them
before anything that reads images is imported.
"""

from typing import Literal

Kind = Literal["paint", "picture", "movie", "text", "strokes", "adjustment"]
Blend = Literal[
    "normal",
    "multiply",
    "screen",
    "overlay",
    "soft_light",
    "add",
    "subtract",
    "darken",
    "lighten",
]
After = Literal["hold", "loop", "hide"]
"""what shows behind a movie's last picture"""
