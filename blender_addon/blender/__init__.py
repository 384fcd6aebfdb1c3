"""What differs between Blenders, and what is missing in all of them."""
