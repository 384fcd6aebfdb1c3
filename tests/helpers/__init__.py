"""What the fixtures of tests/conftest.py hand out. No test imports from here."""
