"""Scenes whose truth is known: their surfaces, their Blender scenes, and what is known of them."""
