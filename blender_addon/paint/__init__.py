"""The live preview and the frame as canvas."""
