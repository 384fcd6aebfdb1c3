"""Image Editors: the one that is meant, one where there is none, a picture framed in it; and
whether somebody paints.
"""

import bpy


def image_editor(context) -> bpy.types.SpaceImageEditor | None:
    """The Image Editor that the mouse is in, or else one of the window; else, a new one.

    The new one is half of the window's largest area. None where there is no window to divide.
    """
    areas = [context.area, *(context.screen.areas if context.screen else ())]
    found = next((a.spaces.active for a in areas if a and a.type == "IMAGE_EDITOR"), None)
    if found is not None or bpy.app.background or context.window is None:
        return found
    return _divided(context.window)


def _divided(window) -> bpy.types.SpaceImageEditor | None:
    area = max(window.screen.areas, key=lambda area: area.width * area.height)
    before = set(window.screen.areas)
    direction = "VERTICAL" if area.width >= area.height else "HORIZONTAL"
    with bpy.context.temp_override(window=window, area=area, region=area.regions[-1]):
        bpy.ops.screen.area_split(direction=direction, factor=0.5)
    fresh = next((new for new in window.screen.areas if new not in before), None)
    if fresh is None:
        return None
    fresh.type = "IMAGE_EDITOR"
    fresh.spaces.active.show_region_ui = True
    return fresh.spaces.active


def show(image: bpy.types.Image, space: bpy.types.SpaceImageEditor) -> None:
    """Show `image` in the editor: whole where it is another one than before, else as it was."""
    other = space.image != image
    space.image = image
    if other and not bpy.app.background:
        # A little later: an editor that is new has no size yet
        place = space.as_pointer()  # the editor itself may be closed until then
        bpy.app.timers.register(lambda: _frame(place), first_interval=0.1)


def _frame(place: int) -> None:
    """Let the picture fill the Image Editor that lies at `place` in memory, if it is there."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type != "IMAGE_EDITOR" or area.spaces.active.as_pointer() != place:
                continue
            region = next(region for region in area.regions if region.type == "WINDOW")
            with bpy.context.temp_override(window=window, area=area, region=region):
                bpy.ops.image.view_all(fit_view=True)


def in_stroke() -> bool:
    """Whether somebody is painting at this moment, in any window."""
    for window in bpy.context.window_manager.windows:
        for operator in getattr(window, "modal_operators", ()):  # not in Blender 4.1 and before
            if "paint" in operator.bl_idname.lower():
                return True
    return False
