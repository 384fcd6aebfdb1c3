"""The parts of a folder that can be made again; the command line offers them before anything that
reads images is imported.
"""

PARTS = ("flat", "render")
