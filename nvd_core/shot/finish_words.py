"""The words and ranges of edges and motion blur; the command line offers them before anything that
reads images is imported.
"""

EDGES = ("choke", "feather", "spill")
MOST_CHOKE = 32.0
"""pixels; the least is as many below 0"""
MOST_FEATHER = 64.0
"""pixels"""
MOST_SHUTTER = 2.0
"""frames: to the time of the frames before and after"""
MOST_SAMPLES = 128
DEFAULT_SHUTTER = 0.5
"""of a film camera, which is closed for half of the time"""
DEFAULT_SAMPLES = 16
PASSES = ("matte", "uv", "light", "paint")
"""what `nvd render --passes` writes of a layer"""
