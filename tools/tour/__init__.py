"""The parts of tools/gui_tour.py: a Blender with a window, what is on its screen, the steps."""
