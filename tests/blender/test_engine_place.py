"""Where the engine goes, which PyTorch it gets, and what is said before anything is downloaded.

Other platforms' answers are faked: `sys.platform`, the registry, nvidia-smi, the Mac's version.
"""

import json
import subprocess
import sys
import types
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon.engine import find, install, place, torch_build
from blender_addon.engine.find import PROTOCOL, find_engine, probe_command
from blender_addon.engine.install import install_job, plan_install
from blender_addon.engine.place import check_length, environment_folder, missing_base
from blender_addon.engine.torch_build import TORCH, VERSION, choose_build
from blender_addon.errors import AddonError
from blender_addon.ui import job_operators

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
]

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links as POSIX has them")
EXTENSION = Path("/blender/extensions/.user/neural_video_layers")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    for name in ("NVD_PYTHON", "NVD_ENGINE_FOLDER", "BLENDER_USER_RESOURCES", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(find, "user_folder", lambda: tmp_path / "own")
    monkeypatch.setattr(install, "user_folder", lambda: tmp_path / "own")


@pytest.fixture
def online(monkeypatch):
    monkeypatch.setattr(bpy.context.preferences.system, "use_online_access", True)


def on(monkeypatch, platform: str) -> None:
    """Let the engine's room believe that it is on `platform`."""
    fake = types.SimpleNamespace(**{name: getattr(sys, name) for name in ("executable",)})
    fake.platform = platform
    for module in (place, torch_build):
        monkeypatch.setattr(module, "sys", fake)


def has_gpu(monkeypatch, said: str) -> None:
    """An NVIDIA driver whose nvidia-smi prints `said`."""
    monkeypatch.setattr(torch_build.shutil, "which", lambda name: f"/bin/{name}")
    done = types.SimpleNamespace(stdout=said, returncode=0)
    monkeypatch.setattr(torch_build.subprocess, "run", lambda *_, **__: done)


class TestFolder:
    def test_one_for_all_blenders_of_a_user(self, monkeypatch, tmp_path):
        home = tmp_path / "home"
        expected = home / ".local/share/nvd" / f"engine-{PROTOCOL}"
        if sys.platform == "linux":
            assert environment_folder(EXTENSION, PROTOCOL) == expected
        on(monkeypatch, "linux")
        for blender in ("4.5", "5.2"):
            assert environment_folder(Path(blender) / "ours", PROTOCOL) == expected
        monkeypatch.setenv("XDG_DATA_HOME", "/data")
        assert environment_folder(EXTENSION, 7) == Path("/data/nvd/engine-7")
        on(monkeypatch, "darwin")
        assert environment_folder(EXTENSION, 7) == home / "Library/Application Support/nvd/engine-7"
        on(monkeypatch, "win32")
        monkeypatch.setenv("LOCALAPPDATA", "/C/Users/artist/AppData/Local")
        found = environment_folder(EXTENSION, 7)
        assert found == Path("/C/Users/artist/AppData/Local/nvd/engine-7")

    def test_what_was_there_before_goes_on_working(self, tmp_path):
        before = tmp_path / "own" / "engine"
        before.mkdir(parents=True)
        assert environment_folder(tmp_path / "own", PROTOCOL) == before

    def test_where_blender_was_told_to_keep_its_files(self, monkeypatch):
        monkeypatch.setenv("BLENDER_USER_RESOURCES", "/elsewhere")
        assert environment_folder(EXTENSION, 7) == EXTENSION / "engine"
        monkeypatch.setenv("NVD_ENGINE_FOLDER", "/short")
        assert environment_folder(EXTENSION, 7) == Path("/short/engine-7")

    def test_nothing_but_an_environment_is_cleared(self, online, tmp_path, monkeypatch, engine):
        holiday = tmp_path / "engine" / "holiday.jpg"
        holiday.parent.mkdir()
        holiday.touch()
        with pytest.raises(AddonError, match="is not empty"):
            plan_install(environment=holiday.parent, build="cpu", base=engine.PYTHON)
        assert holiday.exists()


class TestLength:
    """Some of the wheel for Windows had too long a path below Blender's user folder."""

    DEEP = Path(
        "C:/Users/artist/AppData/Roaming/Blender Foundation/Blender/4.5/extensions/.user/"
        "user_default/neural_video_layers/engine"
    )
    SHORT = Path("C:/Users/twenty_letters_a_name/AppData/Local/nvd/engine-2")

    def registry(self, monkeypatch, value):
        def query(_key, name):
            assert name == "LongPathsEnabled"
            if value is None:
                raise FileNotFoundError
            return value, 4

        class Key:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

        fake = types.SimpleNamespace(
            HKEY_LOCAL_MACHINE=0, OpenKey=lambda *_: Key(), QueryValueEx=query
        )
        monkeypatch.setitem(sys.modules, "winreg", fake)

    @pytest.mark.parametrize("value", [None, 0])
    def test_too_deep_is_said_before(self, monkeypatch, value, online, engine):
        on(monkeypatch, "win32")
        self.registry(monkeypatch, value)
        with pytest.raises(AddonError, match="305 letters, and 259") as caught:
            check_length(self.DEEP)
        assert "NVD_ENGINE_FOLDER" in caught.value.remedy
        with pytest.raises(AddonError, match="too deep"):
            plan_install(environment=self.DEEP, build="cpu", base=engine.PYTHON)
        check_length(self.SHORT)

    def test_long_paths_turned_on(self, monkeypatch):
        on(monkeypatch, "win32")
        self.registry(monkeypatch, 1)
        check_length(self.DEEP)

    def test_elsewhere_paths_are_long(self, monkeypatch):
        on(monkeypatch, "linux")
        check_length(Path("/" + "deep/" * 100))


@POSIX
class TestPythonThatHasGone:
    def made(self, tmp_path) -> tuple[Path, Path]:
        """A real environment on a Python that lies in a folder of its own, as Blender's does."""
        blender = tmp_path / "blender-4.5" / "bin"
        blender.mkdir(parents=True)
        real = Path(sys._base_executable).resolve()
        (blender / "python3").symlink_to(real)
        environment = tmp_path / "own" / "engine"
        command = [real, "-m", "venv", "--without-pip", environment]
        subprocess.run(list(map(str, command)), check=True)
        settings = environment / "pyvenv.cfg"
        text = settings.read_text().replace(f"home = {real.parent}", f"home = {blender}")
        settings.write_text(text)
        (environment / "bin" / "python").unlink()
        (environment / "bin" / "python").symlink_to(blender / "python3")
        return blender, environment

    def test_is_found_out_without_running_it(self, tmp_path):
        blender, environment = self.made(tmp_path)
        assert not missing_base(environment) and find_engine().origin.startswith("installed")
        (blender / "python3").unlink()
        assert missing_base(environment) == str(blender)
        blender.rmdir()
        assert missing_base(environment) == str(blender)
        with pytest.raises(AddonError, match="has gone with its Blender") as caught:
            find_engine()
        assert caught.value.button == "nvd.install_engine"

    def test_windows_has_a_program_there_all_the_same(self, tmp_path, monkeypatch):
        on(monkeypatch, "win32")
        environment = tmp_path / "engine"
        (environment / "Scripts").mkdir(parents=True)
        (environment / "Scripts" / "python.exe").touch()  # starts the one that has gone
        settings = environment / "pyvenv.cfg"
        settings.write_text(f"home = {tmp_path / 'Blender 4.5'}\nversion = 3.11.7\n")
        assert missing_base(environment) == str(tmp_path / "Blender 4.5")
        (tmp_path / "Blender 4.5").mkdir()
        assert not missing_base(environment)

    def test_built_again_on_the_python_of_today(self, tmp_path, online):
        """The job's first step really makes it anew."""
        blender, environment = self.made(tmp_path)
        (blender / "python3").unlink()
        plan = plan_install(environment=environment, build="cpu", base=Path(sys._base_executable))
        assert "The engine that is there is replaced" in plan.lines
        subprocess.run([*plan.steps[0]["command"], "--without-pip"], check=True)
        assert not missing_base(environment) and place.python_in(environment).exists()


class TestTorch:
    def command(self, build, index: str = "") -> list[str]:
        return build.steps(["pip", "install"], index)["command"]

    def test_windows_gets_cuda_from_its_own_index(self, monkeypatch):
        on(monkeypatch, "win32")
        has_gpu(monkeypatch, "591.44, 8.9\n")
        build = choose_build("cuda")
        assert (build.kind, build.tag, build.title) == ("cuda", "cu130", "CUDA 13.0")
        step = build.steps(["pip", "install"], "")
        url = "https://download.pytorch.org/whl/cu130"
        assert step["command"] == ["pip", "install", "--index-url", url, f"{TORCH}+cu130"]
        assert "otherwise" not in step and "cu130" in step["title"]
        # Found by itself it may go on without; the test at the end says so
        assert choose_build("auto").steps(["pip"], "")["otherwise"] == ["pip", TORCH]
        assert self.command(choose_build("cpu")) == ["pip", "install", TORCH]

    @pytest.mark.parametrize(
        ("said", "tag"),
        [
            ("566.24, 8.9\n", "cu126"),  # an older driver
            ("591.44, 6.1\n", "cu126"),  # a GPU that CUDA 13 has left
            ("591.44, 8.9\n591.44, 6.1\n", "cu126"),
            ("572.10, 12.0\n", "cu130"),  # newer than CUDA 12.6: the driver must be newer too
            ("591.44, 12.0\n", "cu130"),
            ("N/A, N/A\n", "cu130"),
            ("", "cu130"),
        ],
    )
    def test_the_build_follows_driver_and_gpu(self, monkeypatch, said, tag):
        for platform in ("win32", "linux"):
            on(monkeypatch, platform)
            has_gpu(monkeypatch, said)
            build = choose_build("auto")
            assert build.tag == tag
            usual = platform == "linux" and tag == "cu130"
            assert build.index == ("" if usual else f"https://download.pytorch.org/whl/{tag}")

    def test_an_index_of_ones_own(self, monkeypatch, tmp_path):
        on(monkeypatch, "win32")
        has_gpu(monkeypatch, "591.44, 8.9\n")
        step = choose_build("cuda").steps(["pip"], "https://mirror/simple")
        index = ["pip", "--index-url", "https://mirror/simple"]
        assert step["command"] == [*index, f"{TORCH}+cu130"]
        assert step["otherwise"] == [*index, TORCH]
        assert self.command(choose_build("cpu"), str(tmp_path))[2:4] == [
            "--no-index",
            "--find-links",
        ]

    def test_no_driver_no_cuda(self, monkeypatch):
        monkeypatch.setattr(torch_build.shutil, "which", lambda _: None)
        on(monkeypatch, "linux")
        assert choose_build("auto").kind == "cpu"
        assert self.command(choose_build("cpu"))[-1] == f"{TORCH}+cpu"
        assert choose_build("cuda").kind == "cuda"  # asked for by name

    def test_macs(self, monkeypatch, online, engine):
        on(monkeypatch, "darwin")
        fake = types.SimpleNamespace(machine=lambda: "x86_64", mac_ver=lambda: ("15.1", "", ""))
        monkeypatch.setattr(torch_build, "platform", fake)
        with pytest.raises(AddonError, match=r"Intel processors: they stop at 2\.2\.2"):
            choose_build("auto")
        with pytest.raises(AddonError, match="Intel"):
            install_job(base=engine.PYTHON)
        fake.machine, fake.mac_ver = lambda: "arm64", lambda: ("13.6.1", "", "")
        with pytest.raises(AddonError, match=rf"{VERSION}.* from macOS 14 on.* macOS 13\.6\.1"):
            choose_build("cpu")
        fake.mac_ver = lambda: ("14.0", "", "")
        assert self.command(choose_build("auto")) == ["pip", "install", TORCH]
        with pytest.raises(AddonError, match="no CUDA for macOS"):
            choose_build("cuda")


class TestProbe:
    """By the engine's real Python, whose PyTorch is the CPU's."""

    def said(self, engine, wanted: str) -> tuple[int, list[dict]]:
        done = subprocess.run(
            probe_command(engine.PYTHON, True, wanted), capture_output=True, text=True
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return done.returncode, [json.loads(line) for line in lines]

    def test_cuda_that_is_not_there_is_said_plainly(self, engine):
        code, events = self.said(engine, "")
        if events[-1]["device"] != "CPU":
            pytest.skip("this machine's PyTorch has a GPU")
        assert code == 0 and len(events) == 1
        code, events = self.said(engine, "cuda")
        assert code == 2 and events[-1]["event"] == "error"
        assert "cannot use the NVIDIA GPU" in events[-1]["problem"]
        assert "built for the CPU alone" in events[-1]["problem"]
        code, (caution, result) = self.said(engine, "auto")
        assert code == 0 and caution["event"] == "caution" and result["event"] == "result"
        assert "works on the CPU" in caution["text"]

    def test_the_last_step_asks_for_what_was_chosen(self, monkeypatch, online, tmp_path, engine):
        for build, wanted in (("cuda", "--wanted=cuda"), ("auto", "--wanted=auto"), ("cpu", None)):
            has_gpu(monkeypatch, "591.44, 8.9\n")
            plan = plan_install(build=build, base=engine.PYTHON, environment=tmp_path / "engine")
            assert (plan.steps[-1]["command"][-1] == wanted) == (wanted is not None)


class TestBeforeTheQuestion:
    @pytest.fixture(autouse=True)
    def registered(self):
        blender_addon.register()
        yield
        blender_addon.unregister()

    def asked(self, monkeypatch):
        """What the operator asks when its button is pressed; a window is faked."""
        reports, dialogs = [], []
        manager = types.SimpleNamespace(
            invoke_props_dialog=lambda *_, **words: dialogs.append(words) or {"RUNNING_MODAL"}
        )
        operator = types.SimpleNamespace(report=lambda kind, text: reports.append((kind, text)))
        context = types.SimpleNamespace(window_manager=manager)
        answer = job_operators.NVD_OT_install_engine.invoke(operator, context, None)
        return answer, reports, dialogs, getattr(operator, "lines", [])

    def test_not_online_is_said_first(self, monkeypatch):
        answer, reports, dialogs, _ = self.asked(monkeypatch)
        assert answer == {"CANCELLED"} and not dialogs
        assert reports == [({"ERROR"}, "Blender is not allowed to go online: allow online access "
                            "in the preferences, System, Network")]  # fmt: skip

    def test_size_place_and_downloads_are_said(self, monkeypatch, online, tmp_path, engine):
        monkeypatch.setattr(install, "find_base_python", lambda: engine.PYTHON)
        answer, reports, dialogs, lines = self.asked(monkeypatch)
        assert answer == {"RUNNING_MODAL"} and not reports and dialogs[0]["confirm_text"]
        text = "\n".join(lines)
        place = environment_folder(tmp_path / "own", PROTOCOL)
        assert f"Place: {place}" in text and "Download: about 0.5 GB" in text
        assert "Size: about 2 GB of" in text and f"PyTorch {VERSION} for CPU" in text
        assert "The engine and its packages: from the Python Package Index" in text
        drawn = []
        layout = types.SimpleNamespace(label=lambda text: drawn.append(text))
        operator = types.SimpleNamespace(lines=lines, layout=layout)
        job_operators.NVD_OT_install_engine.draw(operator, None)
        assert drawn == lines

    def test_too_small_a_disk(self, monkeypatch, online, tmp_path, engine):
        monkeypatch.setattr(install, "_free", lambda _: 10**9)
        with pytest.raises(AddonError, match=r"1\.0 GB are free"):
            plan_install(build="cpu", base=engine.PYTHON, environment=tmp_path / "engine")
