"""Measuring: speed, memory and quality; each script says its command."""
