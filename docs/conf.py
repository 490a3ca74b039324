"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

project = "beets-soundtags"
author = "the authors of beets-soundtags"
html_title = project
html_theme = "furo"
exclude_patterns = ["_build"]
# Of blocks that do not say what they are; most are commands.
highlight_language = "sh"
