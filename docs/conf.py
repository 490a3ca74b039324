"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

from soundtags.version import package_version

project = "beets-soundtags"
project_copyright = "2026, the beets-soundtags developers"
release = version = package_version()
html_title = f"{project} {version}"
html_theme = "furo"
exclude_patterns = ["_build"]
# For blocks that name no language; most are commands.
highlight_language = "sh"
# Keep two hyphens as they are: options and MP4 tags begin with them.
smartquotes = False
# The reference of the Python interface is made from its docstrings.
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_typehints = "none"  # the docstrings say more
napoleon_use_ivar = True
# Types of other packages have no pages here to link to.
nitpick_ignore_regex = [("py:class", r"(?!soundtags\.).*")]
