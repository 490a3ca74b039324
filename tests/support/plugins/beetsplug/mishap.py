"""Mishaps during an import or a run; `mishap.kind` chooses one."""

import errno
import os
import shutil
import signal
import sqlite3
import threading
import time
from functools import partial
from pathlib import Path

from beets import config
from beets.plugins import BeetsPlugin

KILLED = {"killed": "import_task_files", "killed late": "after_write"}


connect = sqlite3.connect


class Interrupted(sqlite3.Connection):
    """Ctrl-C is pressed while a transaction ends."""

    countdown = -1  # transactions until then; never if negative

    def commit(self):
        Interrupted.countdown -= 1
        if Interrupted.countdown == 0:
            os.kill(os.getpid(), signal.SIGINT)
        super().commit()


def full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


class MishapPlugin(BeetsPlugin):
    def __init__(self):
        super().__init__()
        kind = self.config["kind"].as_str()
        if kind == "full disk":
            shutil.copyfile = full
        elif kind in KILLED:
            self.register_listener(KILLED[kind], self.die)
        else:
            self.register_listener("write", getattr(self, kind))
        if kind == "interrupted":
            sqlite3.connect = partial(connect, factory=Interrupted)
        self.times = 0

    def die(self, **_kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    def connect(self):
        library = config["library"].as_filename()
        return connect(library, check_same_thread=False)

    def interrupted(self, **_kwargs):
        """Ctrl-C is pressed some transactions after the first file."""
        self.times += 1
        if self.times == 1:
            Interrupted.countdown = self.config["transactions"].get(int)

    def removed(self, item, **_kwargs):
        """The other items leave the library when one is written."""
        with self.connect() as database:
            database.execute("DELETE FROM items WHERE id != ?", (item.id,))

    def vanished(self, path, **_kwargs):
        """A file is deleted before it is written."""
        self.times += 1
        if self.times == 1:
            os.remove(path)

    def met(self, **_kwargs):
        """Another run is about to write its first file, too."""
        place = Path(self.config["place"].as_filename())
        (place / str(os.getpid())).touch()
        while len(list(place.iterdir())) < 2:
            time.sleep(0.01)

    def locked(self, **_kwargs):
        """Another program keeps the library locked for a while."""
        self.busy("BEGIN EXCLUSIVE")

    def read(self, **_kwargs):
        """Another program is in the middle of reading the library."""
        self.busy("BEGIN; SELECT * FROM items")

    def busy(self, statements):
        self.times += 1
        if self.times == 1:
            database = self.connect()
            *first, last = statements.split("; ")
            for statement in first:
                database.execute(statement)
            database.execute(last).fetchone()
            seconds = self.config["seconds"].as_number()
            release = threading.Timer(seconds, database.rollback)
            release.daemon = True
            release.start()
