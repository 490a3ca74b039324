"""The Python interface, whose names :mod:`soundtags` exports."""
