"""The random steps of undo_trial.py, in the Blender with a window that it starts."""

import hashlib
import json
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import bpy
import numpy as np

State = tuple
"""the listed shots, each with its layers' edits: names and digests of their pixels"""


class Trial:
    """Random steps, and what the state was after each that Blender can undo."""

    def __init__(self, work: Path, options: dict):
        self.work, self.without, self.order = work, options["without"], options["order"]
        self.steps = len(self.order) or options["steps"]
        self.draw, self.trace = random.Random(options["seed"]), options["trace"]
        self.pictures: list[str] = []  # digests, in the order of their first showing
        self.states: list[State] = []  # one after the other, as far as undo and redo reach
        self.at = 0  # which of them it is
        self.place = ""  # of a step of the order: the numbers of its shot and layer, or folder
        self.faults: list[str] = []
        self.done: Counter = Counter()

    def walk(self) -> Generator[float, None, None]:
        yield from self.begin()
        for number in range(self.steps):
            name, _, self.place = (self.order[number] if self.order else self.choose()).partition(
                "@"
            )
            faults = len(self.faults)
            try:
                yield from getattr(self, name)()
            except RuntimeError as error:  # what an operator refuses
                self.done[f"{name}, refused"] += 1
                print(f"step {number} {name}: {str(error).strip()[:160]}", flush=True)
            self.done[name] += 1
            self.tell(f"{number} {name}", faults)
            yield 0.02
        yield from self.back_and_forth()
        self.save()
        facts = {"steps": dict(self.done), "undoable": len(self.states), "faults": self.faults}
        print(f"UNDO {json.dumps(facts)}", flush=True)

    def begin(self) -> Generator[float, None, None]:
        (package,) = self.work.glob("*.zip")
        bpy.ops.extensions.package_install_files(filepath=str(package), repo="user_default")
        yield 1.0
        area = max(bpy.context.window_manager.windows[0].screen.areas, key=lambda a: a.width)
        area.type = "IMAGE_EDITOR"
        yield 0.5
        bpy.context.preferences.edit.undo_steps = 256
        bpy.ops.wm.save_as_mainfile(filepath=str(self.work / "trial.blend"))
        self.press("open_shot", directory=str(self.work / "one.nvd"))
        yield 0.5
        bpy.ops.ed.undo_push(message="begin")
        self.states = [self.state()]

    def choose(self) -> str:
        weights = {"stroke": 34, "undo": 22, "redo": 14, "restore": 6, "bring_back": 5}
        weights |= {"open": 4, "remove": 3, "duplicate": 3, "frame": 4, "save_paint": 3}
        weights |= {"save_blend": 2, "more": 12}
        weights = {name: weight for name, weight in weights.items() if name not in self.without}
        return self.draw.choices(list(weights), weights.values())[0]

    # The steps

    def stroke(self) -> Generator[float, None, None]:
        layer = self.layer()
        if layer is None:
            return
        self.press("paint_layer", layer=layer.name)
        self.note()  # the canvas is another one: a step of its own
        yield 0.05
        self.draw_line()
        self.note()

    def more(self) -> Generator[float, None, None]:
        """A stroke on what is open, without pressing Paint again."""
        image = bpy.context.scene.tool_settings.image_paint.canvas
        layers = [layer for entry in bpy.context.scene.nvd_shots for layer in entry.layers]
        if image is not None and image in [layer.edit for layer in layers]:
            self.draw_line()
            self.note()
        yield 0.02

    def draw_line(self) -> None:
        settings = bpy.context.scene.tool_settings.image_paint
        brush = getattr(settings, "unified_paint_settings", None)
        brush = brush or bpy.context.scene.tool_settings.unified_paint_settings
        brush.color, brush.size = [self.draw.random() for _ in range(3)], 20
        region = next(r for r in self.area.regions if r.type == "WINDOW")
        places = [(self.draw.uniform(0.2, 0.8), self.draw.uniform(0.2, 0.8)) for _ in range(2)]
        with self.context():
            view = region.view2d
            points = [view.view_to_region(x, y, clip=False) for x, y in places]
            line = [
                {"name": "", "mouse": point, "mouse_event": point,
                 "is_start": n == 0, "location": (0, 0, 0), "pressure": 1.0, "size": 20,
                 "time": float(n), "x_tilt": 0.0, "y_tilt": 0.0}
                for n, point in enumerate(points)
            ]  # fmt: skip
            bpy.ops.paint.image_paint("EXEC_DEFAULT", True, stroke=line, mode="NORMAL")

    def restore(self) -> Generator[float, None, None]:
        yield from self.on_layer("restore_learned")

    def bring_back(self) -> Generator[float, None, None]:
        layer = self.layer()
        if layer is not None and layer.taken_back is not None:
            yield from self.on_layer("bring_back", layer)

    def on_layer(self, name: str, layer=None) -> Generator[float, None, None]:
        layer = layer or self.layer()
        if layer is not None:
            self.press(name, layer=layer.name)
            self.note()
        yield 0.02

    def open(self) -> Generator[float, None, None]:
        names = "one.nvd", "two.nvd"
        name = names[int(self.place)] if self.place else self.draw.choice(names)
        self.press("open_shot", directory=str(self.work / name))
        yield 0.1
        self.note()

    def remove(self) -> Generator[float, None, None]:
        if len(bpy.context.scene.nvd_shots) > 1:
            self.press("remove_shot")
            yield 0.1
            self.note()

    def duplicate(self) -> Generator[float, None, None]:
        if len(bpy.context.scene.nvd_shots) < 4:
            self.press("duplicate_shot")
            yield 0.1
            self.note()

    def frame(self) -> Generator[float, None, None]:
        """Paint on a frame, and take it to the layers."""
        scene = bpy.context.scene
        if not len(scene.nvd_shots):
            return
        entry = scene.nvd_shots[scene.nvd_shot]
        scene.frame_set(self.draw.randint(1, 3))
        job_of = self.module("frame_canvas").job_of
        earlier = job_of(entry)
        self.press("paint_frame")
        yield from self.until(lambda: entry.canvas is not None and self.idle(job_of(entry)))
        self.note()
        self.draw_line()
        self.note()
        earlier = job_of(entry)
        self.press("canvas_to_layers")
        yield from self.until(lambda: job_of(entry) is not earlier and self.idle(job_of(entry)))
        yield from self.until(lambda: entry.canvas is None, 5)
        yield 0.3
        self.note()

    def save_paint(self) -> Generator[float, None, None]:
        if len(bpy.context.scene.nvd_shots):
            self.press("save_edits")
            yield 0.05
            self.note()

    def save_blend(self) -> Generator[float, None, None]:
        """Saves the paint as well, in no step of its own."""
        bpy.ops.wm.save_mainfile()
        yield 0.05
        self.note()

    def undo(self) -> Generator[float, None, None]:
        if self.at > 0 and self.idle_everywhere():
            self.turn("undo")
            yield 0.05

    def redo(self) -> Generator[float, None, None]:
        if self.at < len(self.states) - 1 and self.idle_everywhere():
            self.turn("redo")
            yield 0.05

    def back_and_forth(self) -> Generator[float, None, None]:
        """All the way back, and all the way forth: what was last has to be there again."""
        for name in ("redo", "undo", "redo"):
            end = len(self.states) - 1 if name == "redo" else 0
            for number in range(1000):
                if self.at == end:
                    break
                faults = len(self.faults)
                try:
                    yield from getattr(self, name)()
                except RuntimeError:  # there is no more
                    break
                self.tell(f"all the way, {number} {name}", faults)
        if self.state() != self.states[-1]:
            self.faults.append(f"redone to the end: {self.differs(self.states[-1], self.state())}")

    def tell(self, step: str, faults: int) -> None:
        """What the step has left, and whether it is wrong: `faults` there were before it."""
        if self.trace:
            wrong = f"  WRONG {self.faults[-1]}" if len(self.faults) > faults else ""
            print(f"TRACE {step}: {self.told()}{wrong}", flush=True)

    # What holds after each

    def turn(self, name: str) -> None:
        """One undo or redo; what it left has to be a state from before, or from behind.

        Not necessarily the next one: some steps change nothing that is looked at here.
        """
        with self.context():
            getattr(bpy.ops.ed, name)()
        now = self.state()
        places = range(self.at, -1, -1) if name == "undo" else range(self.at, len(self.states))
        found = next((n for n in places if self.states[n] == now), None)
        if found is None:
            next_one = places[min(1, len(places) - 1)]
            known = self.states[next_one]
            self.faults.append(f"{name} from {self.at}: {self.differs(known, now)}")
            self.at = next_one  # taken for it, or one wrong state would make all later ones wrong
            self.states[self.at] = now
        else:
            self.at = found

    @staticmethod
    def differs(known: State, now: State) -> str:
        if [shot[0] for shot in known] != [shot[0] for shot in now]:
            return f"shots {[shot[0] for shot in known]} are {[shot[0] for shot in now]}"
        pairs = zip(known, now, strict=True)
        layers = [
            f"{a[0]}/{x[0]}" for a, b in pairs for x, y in zip(a[1], b[1], strict=False) if x != y
        ]
        return f"other pixels in {layers}"

    def note(self) -> None:
        """What a step has left; a new step ends what could be redone."""
        now = self.state()
        del self.states[self.at + 1 :]
        if now != self.states[self.at]:
            self.states.append(now)
            self.at += 1

    def state(self) -> State:
        return tuple(
            (entry.name, tuple((layer.name, self.digest(layer.edit)) for layer in entry.layers))
            for entry in bpy.context.scene.nvd_shots
        )

    def told(self) -> str:
        """The edits in short, for the eyes: numbers of their pictures, and how they are kept."""
        layers = [layer for entry in bpy.context.scene.nvd_shots for layer in entry.layers]
        words = [f"{layer.name}={self.told_of(layer.edit)}" for layer in layers]
        off = {layer.taken_back for layer in layers} - {layer.edit for layer in layers} - {None}
        words += [f"off={self.told_of(i)}" for i in sorted(off, key=lambda i: i.session_uid)]
        return f"at {self.at} " + " ".join(words)

    def told_of(self, image) -> str:
        digest = self.digest(image)
        if digest not in self.pictures:
            self.pictures.append(digest)
        kept = "d" * image.is_dirty + "p" * bool(image.packed_file)
        return f"{self.pictures.index(digest)}{kept}-{image.session_uid}"

    @staticmethod
    def digest(image) -> str:
        if image is None or (not image.has_data and not image.size[0]):
            return "none"
        pixels = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(pixels)
        return hashlib.sha1((pixels * 255 + 0.5).astype(np.uint8).tobytes()).hexdigest()[:12]

    def save(self) -> None:
        """Saving brings what is seen into the files, of every shot once."""
        before = self.state()
        bpy.ops.wm.save_mainfile()
        bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
        if self.state() != before:
            self.faults.append(f"saved and opened: {self.differs(before, self.state())}")

    # How a person would

    def press(self, name: str, **values) -> None:
        with self.context():
            getattr(bpy.ops.nvd, name)("EXEC_DEFAULT", True, **values)

    def context(self):
        region = next(r for r in self.area.regions if r.type == "WINDOW")
        window = bpy.context.window_manager.windows[0]
        return bpy.context.temp_override(window=window, area=self.area, region=region)

    @property
    def area(self):
        areas = bpy.context.window_manager.windows[0].screen.areas
        return next(area for area in areas if area.type == "IMAGE_EDITOR")

    def layer(self):
        scene = bpy.context.scene
        if not len(scene.nvd_shots):
            return None
        if self.draw.random() < 0.3:
            scene.nvd_shot = self.draw.randrange(len(scene.nvd_shots))
        if self.order:
            scene.nvd_shot, number = map(int, (self.place or "0.0").split("."))
            return scene.nvd_shots[scene.nvd_shot].layers[number]
        entry = scene.nvd_shots[min(scene.nvd_shot, len(scene.nvd_shots) - 1)]
        return self.draw.choice(list(entry.layers)) if len(entry.layers) else None

    def idle(self, job) -> bool:
        return job is None or job.ended

    def idle_everywhere(self) -> bool:
        job_of = self.module("frame_canvas").job_of
        return all(self.idle(job_of(entry)) for entry in bpy.context.scene.nvd_shots)

    def until(self, done, seconds: float = 120) -> Generator[float, None, None]:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise RuntimeError(f"not done in {seconds} s")
            yield 0.1

    def module(self, name: str):
        ours = (m for k, m in sys.modules.items() if "neural_video_layers" in k)
        return next(m for m in ours if m.__name__.endswith(f".{name}"))


def main() -> None:
    work, options = sys.argv[sys.argv.index("--") + 1 :]
    bpy.context.preferences.view.show_splash = False
    walk = Trial(Path(work), json.loads(options)).walk()

    def step() -> float | None:
        try:
            return next(walk)
        except StopIteration:
            pass
        except Exception:
            traceback.print_exc()
        sys.stdout.flush()
        bpy.ops.wm.quit_blender()
        return None

    bpy.app.timers.register(step, first_interval=2.0, persistent=True)


if __name__ == "__main__":
    main()
