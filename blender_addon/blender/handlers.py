"""Functions that Blender calls when something has happened, added and taken away together."""

from collections.abc import Callable

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
