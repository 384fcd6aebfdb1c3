"""A value in the words of a message: short, and never walked further than the message is long.

A YAML file of one kilobyte may stand for gigabytes of text, by its aliases: nothing that a user
gave is turned into text by `str` or `repr` before it is cut.
"""

import re

LONGEST = 80
"""characters of a message that a value may take"""

_INVISIBLE = re.compile(
    "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def shown(value: object, longest: int = LONGEST) -> str:
    """`value` as YAML or JSON would have it, at most `longest` characters; `...` where it is cut.

    Characters that do not print are escaped, and so are halves of surrogate pairs. What no file
    can hold is named by its type.
    """
    pieces: list[str] = []
    _write(value, pieces, longest + 1)
    text = "".join(pieces)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _write(value: object, pieces: list[str], room: int) -> int:
    """Append `value` to `pieces`, giving up once they are `room` characters; returns what is left.

    Every level of nesting takes a character, so that the room bounds the depth too.
    """
    if isinstance(value, dict):
        room = _put("{", pieces, room)
        for number, (name, part) in enumerate(value.items()):
            if room <= 0:
                return room
            room = _put(", " if number else "", pieces, room)
            room = _write(name, pieces, room) if not _plain(name) else _put(name, pieces, room)
            room = _write(part, pieces, _put(": ", pieces, room))
        return _put("}", pieces, room)
    if isinstance(value, list | tuple):
        room = _put("[", pieces, room)
        for number, part in enumerate(value):
            if room <= 0:
                return room
            room = _write(part, pieces, _put(", " if number else "", pieces, room))
        return _put("]", pieces, room)
    return _put(_scalar(value, max(room, 1)), pieces, room)


def _put(text: str, pieces: list[str], room: int) -> int:
    pieces.append(text)
    return room - len(text)


def _plain(name: object) -> bool:
    """Whether a key can stand without quotes."""
    return type(name) is str and len(name) <= LONGEST and name.isascii() and name.isidentifier()


def _scalar(value: object, room: int) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return ascii(value[:room]) if _unprintable(value[:room]) else repr(value[:room])
    if isinstance(value, int):  # Python refuses to write very long ones
        bits = value.bit_length()
        return str(int(value)) if bits <= 1024 else f"a whole number of {bits} bits"
    if isinstance(value, float):
        return repr(float(value))
    return type(value).__name__


def _unprintable(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def visible(text: str) -> str:
    """`text` for a terminal, with all that would not show as itself escaped: ESC becomes \\x1b.

    That is control characters, line ends among them, what turns the direction of writing, and
    halves of surrogate pairs.
    """
    return _INVISIBLE.sub(lambda match: _escaped(match[0]), text)


def _escaped(character: str) -> str:
    code = ord(character)
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    return short or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
