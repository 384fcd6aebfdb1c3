"""tools/file_shares.py: every file is run once, long ones first, in shares that take as long."""

import pytest
from file_shares import UNKNOWN_SLOW, longest_first, read_seconds, shares, write_seconds


@pytest.fixture
def files(tmp_path):
    """Ten files; the last one is marked as slow."""
    paths = [tmp_path / f"test_{letter}.py" for letter in "abcdefghij"]
    for path in paths:
        path.write_text("")
    paths[-1].write_text("pytestmark = pytest.mark.slow\n")
    return paths


def test_long_files_come_first_and_unknown_ones_by_their_marks(files):
    known = {path.name: float(n) for n, path in enumerate(files[:8])} | {"test_a.py": 300.0}
    ordered = longest_first(files, known)
    assert sorted(ordered) == files
    assert [path.stem[-1] for path in ordered[:4]] == ["a", "j", "h", "g"]
    assert UNKNOWN_SLOW > 7


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_each_file_is_in_one_share_and_shares_are_alike(files, count):
    known = {path.name: 10.0 + n for n, path in enumerate(files)}
    found = shares(files, known, count)
    assert sorted(path for share in found for path in share) == files
    assert len(found) == min(count, len(files)) and all(found)
    if count <= 3:
        sums = [sum(known[path.name] for path in share) for share in found]
        assert max(sums) - min(sums) <= max(known.values())


def test_seconds_are_renewed_file_by_file(tmp_path):
    path = tmp_path / "seconds.json"
    assert read_seconds(path) == {}
    write_seconds(path, {}, {"engine": {"test_a.py": 1.0, "test_b.py": 2.0}})
    write_seconds(path, read_seconds(path), {"engine": {"test_b.py": 3.0}, "bpy-4.5": {"c": 1.0}})
    assert read_seconds(path) == {
        "engine": {"test_a.py": 1.0, "test_b.py": 3.0},
        "bpy-4.5": {"c": 1.0},
    }


@pytest.mark.parametrize("text", ["", "[]", "{", '{"engine": 3}', '{"engine": {"a": [1]}}'])
def test_a_damaged_file_is_none(tmp_path, text):
    (tmp_path / "seconds.json").write_text(text)
    assert read_seconds(tmp_path / "seconds.json") == {}
