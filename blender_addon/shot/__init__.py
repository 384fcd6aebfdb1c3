"""A decomposition folder as Blender sees it: nodes, images, painting, events."""
