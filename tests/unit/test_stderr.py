"""Messages of native code are silenced, those of Python are not."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from support.paths import ROOT

from soundtags.stderr import silence_stderr

SCRIPT = """
import logging, os, sys
sys.path.insert(0, {root!r})
from soundtags.stderr import silence_stderr

parent = logging.getLogger("app")
parent.addHandler(logging.StreamHandler())
logger = parent.getChild("part")

def native(text):
    os.write(2, text)

native(b"native before\\n")
with silence_stderr(logger, enabled={enabled}):
    native(b"native inside\\n")
    logger.warning("logged inside")
    print("printed inside", file=sys.stderr)
    with silence_stderr(logger, enabled={enabled}):
        native(b"native nested\\n")
    native(b"native inside\\n")
    logger.warning("logged inside")
native(b"native after\\n")
logger.warning("logged after")
print("printed after", file=sys.stderr)
"""


def messages(enabled: bool) -> list[str]:
    script = SCRIPT.format(root=str(ROOT), enabled=enabled)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()


def test_native_messages_vanish_and_others_arrive():
    assert messages(enabled=True) == [
        "native before",
        "logged inside",
        "printed inside",
        "logged inside",
        "native after",
        "logged after",
        "printed after",
    ]


def test_everything_arrives_when_not_enabled():
    assert messages(enabled=False).count("native inside") == 2


def test_streams_that_are_no_files_do_no_harm(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    before = os.fstat(2)
    with silence_stderr(logging.getLogger("nowhere")):
        assert not os.path.samestat(os.fstat(2), before)
    assert os.path.samestat(os.fstat(2), before)
