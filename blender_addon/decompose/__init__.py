"""A clip or a strip becomes a job of the engine: masks drawn, options gathered."""
