"""What a strip shows and when, and the result as a strip."""
