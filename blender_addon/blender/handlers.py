"""Functions that Blender calls when something has happened, or again and again, added and taken
away together.
"""

import traceback
from collections.abc import Callable

import bpy

Handler = tuple[list[Callable], Callable]
"""one of the lists in bpy.app.handlers, and a function for it"""


def register_handlers_factory(handlers: tuple[Handler, ...]) -> tuple[Callable, Callable]:
    """`register` and `unregister` of a module whose handlers these are, in their order."""

    def register() -> None:
        for called, function in handlers:
            called.append(function)

    def unregister() -> None:
        for called, function in handlers:
            if function in called:
                called.remove(function)

    return register, unregister


def timer_factory(seconds: float, look: Callable[[], object]) -> tuple[Callable, ...]:
    """`tick`, `register` and `unregister` of a module that looks after something every so often.

    `tick` is `look` as Blender's timer calls it: one that raises would never be called again.
    """

    def tick() -> float:
        try:
            look()
        except Exception:
            traceback.print_exc()
        return seconds

    def register() -> None:
        bpy.app.timers.register(tick, first_interval=seconds, persistent=True)

    def unregister() -> None:
        if bpy.app.timers.is_registered(tick):
            bpy.app.timers.unregister(tick)

    return tick, register, unregister
