"""Scores against clips of which everything is known."""
