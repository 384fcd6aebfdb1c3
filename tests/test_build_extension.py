"""The zip of the extension: it holds the licence, and the engine with its type information."""

import io
import zipfile
from pathlib import Path

import build_extension
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> zipfile.ZipFile:
    if not build_extension._tools():
        pytest.skip("no Blender in .envs to build the extension with")
    return zipfile.ZipFile(build_extension.build(tmp_path_factory.mktemp("dist")))


def test_the_licence_is_in_the_zip_and_in_the_wheel(package):
    licence = (ROOT / "LICENSE").read_bytes()
    assert package.read("LICENSE") == licence
    wheel = engine_of(package)
    (inside,) = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
    assert wheel.read(inside) == licence


def test_the_wheel_says_that_it_has_types(package):
    assert "nvd_core/py.typed" in engine_of(package).namelist()


def test_the_wheel_has_all_that_the_reports_page_is_made_of(package):
    page = ROOT / "nvd_core" / "evaluation" / "page"
    made_of = {path.name for path in page.iterdir() if path.is_file()}
    assert {"page.html.j2", "runs.html.j2", "look.css", "page.js"} <= made_of
    inside = set(engine_of(package).namelist())
    assert {f"nvd_core/evaluation/page/{name}" for name in made_of} <= inside


def engine_of(package: zipfile.ZipFile) -> zipfile.ZipFile:
    (name,) = [name for name in package.namelist() if name.startswith("engine_package/")]
    return zipfile.ZipFile(io.BytesIO(package.read(name)))
