"""Hides Matplotlib, as where it has not been installed."""

import sys

from beets.plugins import BeetsPlugin


class UnplottedPlugin(BeetsPlugin):
    def __init__(self):
        super().__init__()
        sys.modules["matplotlib"] = None
