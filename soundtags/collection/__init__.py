"""What many tracks have in common."""
