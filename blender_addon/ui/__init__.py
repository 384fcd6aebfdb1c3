"""Panels, operators, preferences: thin wrappers."""
