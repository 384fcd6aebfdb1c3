"""Reading clips and masks, writing movies and image sequences."""
