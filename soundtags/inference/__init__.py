"""From patches to predictions."""
