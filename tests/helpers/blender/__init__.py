"""What the fixtures of tests/blender/conftest.py hand out. No test imports from here."""
