"""The parts of tools/fuzz.py: what is damaged, how, and who reads it."""
