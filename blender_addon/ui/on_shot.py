"""What operators of the tab "Layers" have in common: the shot and layer that they act on."""

import bpy
from bpy.props import StringProperty

from ..blender import compat
from ..blender.reporting import Reporting
from ..errors import AddonError
from ..shot import shots


def shot_scene(context) -> bpy.types.Scene:
    """The scene whose list of shots is shown; a composite's own scene shows the list it is in."""
    scene = compat.sequencer_scene(context)
    if len(scene.nvd_shots):
        return scene
    owners = [entry.id_data for entry in shots.all_shots() if entry.scene == scene]
    return owners[0] if owners else scene


class OnShot(Reporting):
    """An operator on the shot that is chosen."""

    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (Blender wants a set)

    @classmethod
    def poll(cls, context):
        return shots.current_shot(shot_scene(context)) is not None

    def subject(self, context):
        scene = shot_scene(context)
        return context, scene, shots.current_shot(scene)


class OnLayer(OnShot):
    """The same on a layer; without a name on the one chosen in the list."""

    layer: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def work(self, context, _scene, entry):
        layer = entry.layers.get(self.layer) or entry.layer
        if layer is None:
            raise AddonError("no layer is chosen", "choose one in the list")
        return self.work_on(context, entry, layer)
