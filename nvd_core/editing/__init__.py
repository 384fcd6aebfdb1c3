"""Rendering edited frames."""
