"""The Python interface; :mod:`soundtags` has its names."""
