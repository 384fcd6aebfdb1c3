"""Settings, losses, sampling and the training loop."""
