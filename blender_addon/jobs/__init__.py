"""Processes that outlive Blender: one folder a job, its log, its supervisor."""
