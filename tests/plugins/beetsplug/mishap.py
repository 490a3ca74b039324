"""What can befall an import: `mishap.kind` says which."""

import errno
import os
import shutil
import signal

from beets.plugins import BeetsPlugin


def full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


class MishapPlugin(BeetsPlugin):
    def __init__(self):
        super().__init__()
        kind = self.config["kind"].as_str()
        if kind == "full disk":
            shutil.copy2 = full
        elif kind == "killed":
            self.register_listener("import_task_files", self.die)

    def die(self, **_kwargs):
        os.kill(os.getpid(), signal.SIGKILL)
