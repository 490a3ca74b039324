"""Makes something of ours fail unexpectedly; `broken.what` names it."""

from importlib import import_module

from beets.plugins import BeetsPlugin


class BrokenPlugin(BeetsPlugin):
    def __init__(self):
        super().__init__()
        module, *inner, name = self.config["what"].as_str().split(":")
        owner = import_module(module)
        for each in inner:
            owner = getattr(owner, each)
        setattr(owner, name, self.fail)

    def fail(self, *_args, **_kwargs):
        raise ZeroDivisionError("made to fail")
