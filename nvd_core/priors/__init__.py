"""What is known of a clip before training: flow, masks, global motion, where to start."""
