"""Natron's script (.py): makes the nodes in an open project; Read, SeExprSimple, STMap, Write."""

import json

from nvd_core.editing.export_graph import (
    RESULT,
    Formula,
    HandOver,
    Lookup,
    Read,
    Words,
    channels,
    graph,
)

_WORDS = Words()

_SCRIPT = '''\
"""Makes the nodes that composite {title} in the Natron project that is open.

In Natron's Script Editor: load this file and execute it. Or, without a window:
NatronRenderer -w write_result {first}-{last} {file}
Where Natron does not say where this file lies, write its folder into FOLDER.
"""

import os

FOLDER = os.path.dirname(os.path.abspath(__file__)) if "__file__" in globals() else os.getcwd()
FIRST, LAST = {first}, {last}
READS = {reads}
FORMULAS = {formulas}
LOOKUPS = {lookups}
ORDER = {order}
RESULT, SAVED = {result}, {saved}


def same(node, one, other):
    """Give a parameter the value of another, where there are both: nothing is converted then."""
    one, other = node.getParam(one), node.getParam(other)
    if one is not None and other is not None:
        one.set(other.get())


def choose(param, wanted):
    """Set a choice by its name."""
    for index in range(param.getNumOptions()):
        if param.getOption(index).lower() == wanted:
            param.set(index)
            return
    raise RuntimeError("Natron's STMap has no filter " + wanted)


def read(app, name):
    path, moves = READS[name]
    node = app.createReader(os.path.join(FOLDER, *path.split("/")))
    node.setScriptName(name)
    same(node, "ocioInputSpace", "ocioOutputSpace")
    same(node, "filePremult", "outputPremult")
    missing = node.getParam("onMissingFrame")
    if missing is not None:
        missing.set(0)  # the frame before
    return node


def formula(app, name, made):
    inputs, texts = FORMULAS[name]
    node = app.createNode("fr.inria.openfx.SeExprSimple")
    node.setScriptName(name)
    for index, source in enumerate(inputs):
        node.connectInput(index, made[source])
    for channel, text in zip("rgba", texts):
        node.getParam(channel + "Expr").set(text)
    return node


def lookup(app, name, made):
    image, place = LOOKUPS[name]
    node = app.createNode("net.sf.openfx.STMap")
    node.setScriptName(name)
    node.connectInput(0, made[image])
    node.connectInput(1, made[place])
    choose(node.getParam("filter"), "bilinear")
    black = node.getParam("black_outside")
    if black is not None:
        black.set(False)
    return node


def build(app):
    """Make all nodes; returns them by name."""
    app.getProjectParam("frameRange").set(FIRST, LAST)
    made = {{}}
    for name in ORDER:
        if name in READS:
            made[name] = read(app, name)
        elif name in FORMULAS:
            made[name] = formula(app, name, made)
        else:
            made[name] = lookup(app, name, made)
    writer = app.createWriter(os.path.join(FOLDER, *SAVED.split("/")))
    writer.setScriptName("write_result")
    writer.connectInput(0, made[RESULT])
    same(writer, "ocioInputSpace", "ocioOutputSpace")
    return made


# Natron calls the open project `app`, or `app1` in its Script Editor
project = globals().get("app") or globals().get("app1")
if project is not None:
    nodes = build(project)
'''


def natron_script(over: HandOver, file: str) -> str:
    """The text of the script `file`, whose paths are relative to its own place."""
    reads, formulas, lookups, order = {}, {}, {}, []
    names = channels("{}", "{}2")
    for node in graph(over):
        order.append(node.name)
        match node:
            case Read(name, path, moves):
                reads[name] = path, moves
            case Formula(name, inputs, rgba):
                formulas[name] = inputs, tuple(_WORDS.write(text, names) for text in rgba)
            case Lookup(name, image, place):
                lookups[name] = image, place
    return _SCRIPT.format(
        title=over.title,
        first=over.first,
        last=over.last,
        file=file,
        reads=_shown(reads),
        formulas=_shown(formulas),
        lookups=_shown(lookups),
        order=_shown(order),
        result=repr(RESULT),
        saved=json.dumps(over.result.replace("result/", "from_natron/")),
    )


def _shown(value: dict | list) -> str:
    """A literal, one entry a line."""
    if isinstance(value, list):
        return "[\n" + "".join(f"    {entry!r},\n" for entry in value) + "]"
    return "{\n" + "".join(f"    {key!r}: {entry!r},\n" for key, entry in value.items()) + "}"
