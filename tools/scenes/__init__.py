"""Clips that the project renders itself, in Blender: the sample, and scenes known in full."""
