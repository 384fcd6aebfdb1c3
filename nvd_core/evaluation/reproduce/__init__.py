"""Clips times settings in one report, beside the published figures."""
