"""Find, install and probe the engine, which lives in an environment of its own."""
