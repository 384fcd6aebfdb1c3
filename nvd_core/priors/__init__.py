"""What is known of a clip before training: optical flow, object masks, global motion."""
