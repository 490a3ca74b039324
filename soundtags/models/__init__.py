"""Which models there are, and what is known about them."""
