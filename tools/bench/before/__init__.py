"""Figures of this state of the repository beside those of an earlier one, in one run."""
