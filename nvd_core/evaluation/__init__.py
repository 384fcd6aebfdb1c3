"""Measuring a decomposition: metrics and the report."""
