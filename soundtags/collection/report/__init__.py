"""A page about a collection."""
