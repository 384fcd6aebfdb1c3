"""All that the extension's interface says, read off its source."""

import ast
from collections.abc import Iterator
from pathlib import Path

NAMES = {"torch", "nvd"}
"""of programs, which no language translates"""


def texts(root: Path) -> dict[str, str]:
    """English text to the module where it stands: labels, tooltips, names, items, layout texts."""
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        named = {
            ast.unparse(line.targets[0]): line.value
            for line in tree.body
            if isinstance(line, ast.Assign)
        }
        for node in ast.walk(tree):
            for text in _of_node(node, named):
                if any(letter.isalpha() for letter in text.replace("{", "").replace("}", "")):
                    found.setdefault(text, path.name)
    return found


def composed(root: Path) -> list[str]:
    """Layout texts that are put together in place of said by `translated`: where, and how."""
    found = []
    for path in sorted((root / "ui").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for word in node.keywords if isinstance(node, ast.Call) else ():
                if word.arg == "text" and isinstance(word.value, ast.JoinedStr):
                    parts = [part for part in word.value.values if isinstance(part, ast.Constant)]
                    words = {said for part in parts for said in part.value.split()} - NAMES
                    if any(sum(map(str.isalpha, said)) > 1 for said in words):
                        found.append(f"{path.name}: {ast.unparse(word.value)}")
    return found


def _of_node(node: ast.AST, named: dict[str, ast.AST]) -> Iterator[str]:
    if isinstance(node, ast.ClassDef):
        yield from _of_class(node)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, named)


def _of_class(node: ast.ClassDef) -> Iterator[str]:
    for line in node.body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) in (
            "bl_label",
            "bl_description",
        ):
            yield from _text(line.value)
    if any("Operator" in ast.unparse(base) for base in node.bases):
        yield ast.get_docstring(node) or ""


def _of_call(node: ast.Call, named: dict[str, ast.AST]) -> Iterator[str]:
    name = ast.unparse(node.func).split(".")[-1]
    shown = name in ("label", "operator", "prop", "menu")
    shown |= name == "progress" and any(word.arg == "factor" for word in node.keywords)
    if name == "translated":
        yield from _text(node.args[0])
    for word in node.keywords:
        if name.endswith("Property") and word.arg in ("name", "description"):
            yield from _text(word.value)
        elif name.endswith("Property") and word.arg == "items":
            items = named.get(ast.unparse(word.value), word.value)
            for item in getattr(items, "elts", ()):
                for part in getattr(item, "elts", ())[1:3]:
                    yield from _text(part)
        elif word.arg == "text" and shown:
            yield from _text(word.value)


def _text(node: ast.AST) -> Iterator[str]:
    """The text, or those between which a condition chooses."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _text(node.body)
        yield from _text(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _text(value)
