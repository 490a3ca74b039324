"""Has beet say last whether TensorFlow was loaded: True or False."""

import atexit
import sys

from beets.plugins import BeetsPlugin


def tell():
    sys.stdout.write(f"{'tensorflow' in sys.modules}\n")


class LoadedPlugin(BeetsPlugin):
    def __init__(self):
        super().__init__()
        atexit.register(tell)
