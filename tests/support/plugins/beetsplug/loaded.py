"""Has beet print, at the end, whether TensorFlow was loaded."""

import atexit
import sys

from beets.plugins import BeetsPlugin


def show():
    sys.stdout.write(f"{'tensorflow' in sys.modules}\n")


class LoadedPlugin(BeetsPlugin):
    def __init__(self):
        super().__init__()
        atexit.register(show)
