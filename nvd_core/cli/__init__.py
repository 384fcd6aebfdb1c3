"""The command `nvd`: parse, call, print."""
