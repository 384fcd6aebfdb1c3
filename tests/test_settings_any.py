"""Settings and files that nobody thought of: what is in range comes back, else an NvdError."""

import json
import math
import types
from typing import Literal, Union, get_args, get_origin

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nvd_core.editing.camera_path import load_keys
from nvd_core.evaluation.reproduce.run_list import load_run_list
from nvd_core.fields.networks import GridLayout
from nvd_core.job import Job
from nvd_core.runtime.declared import kinds_of, parts_of
from nvd_core.runtime.errors import NvdError
from nvd_core.settings import (
    MOST_GRID_VALUES,
    PRESETS,
    GridSettings,
    Settings,
    check_settings,
    load_settings,
    paper,
    save_settings,
    set_settings,
    settings_from,
    to_dict,
)
from nvd_core.shot.manifest import read_manifest

pytestmark = pytest.mark.slow

often = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def in_range(kind) -> st.SearchStrategy:
    """Values that the annotation `kind` takes."""
    arms, said = parts_of(kind)
    return st.one_of(*(_of(arm, said) for arm in arms))


def _of(arm, said) -> st.SearchStrategy:
    if get_origin(arm) is Literal:
        return st.sampled_from(get_args(arm))
    if get_origin(arm) is dict:
        return st.dictionaries(*map(in_range, get_args(arm)), max_size=3)
    if arm is int:
        return st.integers(said["ge"], said["le"])
    if arm is float:
        return st.floats(said["ge"], said["le"])
    if arm is str:
        return st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
    if arm is bool or arm is type(None):
        return st.booleans() if arm is bool else st.none()
    return st.fixed_dictionaries({name: in_range(kind) for name, kind in kinds_of(arm).items()})


LEAVES = {
    f"{prefix}{name}": kind
    for prefix, record in (
        ("", Settings),
        ("losses.", type(paper().losses)),
        ("mapping.", type(paper().mapping)),
        ("alpha_grid.", GridSettings),
        ("texture_mlp.", type(paper().texture_mlp)),
    )
    for name, kind in kinds_of(record).items()
}


@often
@given(values=in_range(Settings), old=st.booleans())
def test_settings_in_range_come_back_or_do_not_fit_each_other(values, old, tmp_path):
    try:
        made = settings_from(values)
    except NvdError as error:  # what each is in range, and together they are not
        assert not error.problem.startswith("unknown") and error.remedy
        return
    assert to_dict(made) == values
    save_settings(made, tmp_path / "settings.yaml")
    if old:  # as version 0.1.0 wrote it
        stored = yaml.safe_load((tmp_path / "settings.yaml").read_text("utf-8"))
        stored["residual_reach"] = stored.pop("residual_huber_delta")
        stored["losses"]["bootstrap"] = stored["losses"].pop("mask_bootstrap")
        (tmp_path / "settings.yaml").write_text(yaml.safe_dump(stored), "utf-8")
    assert load_settings(tmp_path / "settings.yaml") == made


@often
@given(data=st.data(), preset=st.sampled_from(list(PRESETS)))
def test_one_setting_in_range_is_taken_by_its_name(data, preset):
    name = data.draw(st.sampled_from([n for n, kind in LEAVES.items() if simple(kind)]))
    value = data.draw(in_range(LEAVES[name]))
    made = PRESETS[preset]()
    try:
        set_settings(made, [f"{name}={json.dumps(value)}"])
    except NvdError as error:
        assert name == "preset" or error.found != ""
        return
    place = made
    for part in name.split("."):
        place = getattr(place, part)
    assert place == value and type(place) is type(value)


def simple(kind) -> bool:
    return not any(hasattr(arm, "__dataclass_fields__") for arm in parts_of(kind)[0])


@often
@given(
    grid=in_range(GridSettings).map(lambda v: GridSettings(**v)),
    dims=st.sampled_from([2, 3]),
    dense=st.booleans(),
    cells=st.integers(8, 40_000),
)
def test_a_grid_that_is_taken_can_be_laid_out(grid, dims, dense, cells):
    """The layout's own limits are wider than those of the settings, and sizes agree."""
    made = paper()
    dims = 3 if dense else dims
    if dense:
        made.mapping.grid = grid
    else:
        setattr(made, "texture_grid" if dims == 2 else "alpha_grid", grid)
    try:
        check_settings(made)
    except NvdError:
        return
    kind, finest = "dense" if dense else "hash", grid.finest
    by_clip = finest < 0 and not dense
    finest = max(cells, grid.base) if by_clip else finest
    if finest > 0:
        layout = GridLayout.for_finest(
            dims, grid.levels, finest, features=grid.features, log2_table=grid.log2_table,
            base=grid.base, kind=kind,
        )  # fmt: skip
    else:
        layout = GridLayout(
            dims, grid.levels, grid.features, grid.log2_table, grid.base, 1.25, kind
        )
    assert layout.entries * layout.features <= 1.01 * MOST_GRID_VALUES


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = st.sampled_from([*LEAVES, "losses", "mapping", "clips", "keys", "variants", "seed"])


@often
@given(value=st.dictionaries(NAMES, ANY, max_size=4) | ANY)
def test_any_yaml_is_taken_or_an_nvd_error(value, tmp_path):
    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump(value), "utf-8")
    readers = (load_settings, load_run_list, lambda p: load_keys(p, 10))
    for reader in readers:
        taken_or_refused(reader, path)


YAML_BITS = st.lists(
    st.sampled_from(
        ["points", "losses", ": ", "- ", "[", "]", "{", "}", ", ", "\n", "  ", "\t", "&a ", "*a",
         "<<", "!!int ", "!!float ", "!!str ", "!!map ", "!!seq ", "!!null ", "! ", "| ", "> ",
         "'", '"', "\\", "? ", "%YAML 1.1\n", "---\n", "...\n", "#", "0x", "1e5", ".inf", ".nan",
         "1:1", "~", "\x00", "\x85", "\ud800", "\u2028", "\ufeff", "="]
    ),
    max_size=30,
).map("".join)  # fmt: skip


@often
@given(text=st.one_of(YAML_BITS, st.text(), st.binary()))
def test_any_bytes_are_taken_or_an_nvd_error(text, tmp_path):
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    for name in ("any.yaml", "job.json", "manifest.json"):
        (tmp_path / name).write_bytes(content)
    for reader in (load_settings, load_run_list, lambda p: load_keys(p, 10)):
        taken_or_refused(reader, tmp_path / "any.yaml")
    taken_or_refused(Job.load, tmp_path)
    taken_or_refused(read_manifest, tmp_path)


JOB_KEYS = [*kinds_of(Job), "schema", "version"]
MANIFEST_KEYS = ["clip", "layers", "cautions", "frames", "maps", "program", "schema", "version"]


@often
@given(
    job=st.dictionaries(st.sampled_from(JOB_KEYS), ANY),
    manifest=st.dictionaries(st.sampled_from(MANIFEST_KEYS), ANY),
)
def test_any_json_is_taken_or_an_nvd_error(job, manifest, tmp_path):
    job = {"schema": "nvd.job", "version": 1, "source": "/x"} | job
    manifest = {"schema": "nvd.decomposition", "version": 1} | manifest
    (tmp_path / "job.json").write_text(json.dumps(job), "utf-8")
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    taken_or_refused(Job.load, tmp_path)
    taken_or_refused(read_manifest, tmp_path)


def taken_or_refused(reader, path) -> None:
    try:
        reader(path)
    except NvdError as error:
        assert error.remedy and len(f"{error.found}{error.expected}") < 1000
        assert f"{error}".encode()  # and can be printed


@often
@given(data=st.data())
def test_what_is_out_of_range_is_refused(data):
    name = data.draw(st.sampled_from([n for n, k in LEAVES.items() if "le" in parts_of(k)[1]]))
    arms, said = parts_of(LEAVES[name])
    arm = arms[0]  # a second is a mapping from names to such numbers
    low, high = said["ge"], said["le"]
    beyond = [low - 1, high + 1, math.nan, math.inf, -math.inf, True, "x", None, [low], 10**400]
    value = data.draw(st.sampled_from([*beyond, *([low + 0.5] if arm is int else [])]))
    nested: object = value
    for part in reversed(name.split(".")):
        nested = {part: nested}
    with pytest.raises(NvdError, match=name):
        settings_from(nested)


def test_every_number_has_a_range_and_every_word_its_choices():
    """A setting that is added without one is seen here."""
    for name, kind in LEAVES.items():
        arms, said = parts_of(kind)
        for arm in arms:
            assert get_origin(arm) not in (Union, types.UnionType)
            if arm in (int, float):
                assert {"ge", "le"} <= said.keys(), name
            if arm is str:
                assert "pattern" in said, name
