"""From predictions to labels."""
