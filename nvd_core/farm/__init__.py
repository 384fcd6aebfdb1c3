"""One shot shared among processes or machines."""
