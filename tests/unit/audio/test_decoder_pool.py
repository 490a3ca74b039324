"""Decoding in processes of its own, and failures of these processes."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
import threading
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from support.audio import noise, write_track
from support.beet import Beet
from support.decoders import CHUNKS, SLOW, made_up

from soundtags.audio import decoder_pool as module
from soundtags.audio.decoder_pool import DecoderPool
from soundtags.audio.features import FeatureSpec, features
from soundtags.audio.patches import FRONT_ENDS
from soundtags.audio.track import no_checkpoint
from soundtags.errors import (
    CrashedDecoder,
    HangingDecoder,
    NoDecoderProcess,
    Stopped,
    UnexpectedFailure,
    UnreadableAudio,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess

NOTHING = FeatureSpec((), None, "sinc")
TIMEOUT = 3.0  # seconds; a process may take one to start
posix = pytest.mark.skipif(
    os.name == "nt", reason="Windows has other ways to die"
)


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecoderPool]:
    """One process for several tests, as it takes a moment to start."""
    made = DecoderPool(1, made_up, timeout=TIMEOUT)
    yield made
    made.close()


def decode(decoders, name, checkpoint=no_checkpoint):
    return list(decoders.features(name, NOTHING, checkpoint))


def process_of(decoders) -> int:
    return int(decode(decoders, "any")[0].seconds)


def child_of(decoders) -> BaseProcess:
    process = process_of(decoders)
    (child,) = [
        each
        for each in multiprocessing.active_children()
        if each.pid == process
    ]
    return child


@pytest.mark.parametrize("patches", [5, None])
def test_features_are_the_same_as_in_this_process(tmp_path, patches):
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(120, 16000), 16000)
    spec = FeatureSpec(list(FRONT_ENDS), patches, "sinc")
    expected = list(features(str(path), spec))
    made = DecoderPool(1)
    found = list(made.features(str(path), spec, no_checkpoint))
    made.close()
    assert [f.last for f in found] == [e.last for e in expected]
    for one, other in zip(found, expected):
        assert (one.seconds, one.level) == (other.seconds, other.level)
        for name, each in other.patches.items():
            assert np.array_equal(one.patches[name], each)
            assert np.array_equal(one.times[name], other.times[name])


def test_one_process_decodes_one_file_after_the_other(decoders):
    assert process_of(decoders) == process_of(decoders) != os.getpid()


@posix
@pytest.mark.parametrize(
    ("name", "reason"), [("segfault", "SIGSEGV"), ("abort", "SIGABRT")]
)
def test_a_crash_fails_its_file_alone(decoders, name, reason):
    before = process_of(decoders)
    with pytest.raises(CrashedDecoder, match=reason):
        decode(decoders, name)
    assert process_of(decoders) != before


@pytest.mark.slow
def test_a_decoder_that_hangs_times_out(decoders):
    with pytest.raises(HangingDecoder, match="made no progress for 3 s"):
        decode(decoders, "hang")
    assert len(decode(decoders, "next")) == CHUNKS


@pytest.mark.slow
def test_a_slow_decoder_does_not_time_out(decoders):
    assert SLOW > TIMEOUT
    assert len(decode(decoders, "slow")) == CHUNKS


def test_files_can_be_decoded_by_turns(decoders):
    names = [f"file {number}" for number in range(module.MAX_OPEN + 3)]
    # More than a process keeps open: some are started over.
    files = [decoders.features(n, NOTHING, no_checkpoint) for n in names]
    for number in range(CHUNKS):
        for name, file in zip(names, files):
            chunk = next(file)
            assert (chunk.patches[name] == number).all()
            assert chunk.last == (number == CHUNKS - 1)


@posix
def test_files_that_were_open_go_on_after_a_crash(decoders):
    file = decoders.features("open", NOTHING, no_checkpoint)
    assert (next(file).patches["open"] == 0).all()
    with pytest.raises(CrashedDecoder):
        decode(decoders, "segfault")
    assert (next(file).patches["open"] == 1).all()


def test_a_killed_process_is_replaced(decoders):
    victim = child_of(decoders)
    victim.kill()
    victim.join()
    assert process_of(decoders) != victim.pid


def test_errors_are_passed_on(decoders):
    with pytest.raises(UnreadableAudio, match=r"^made to fail$"):
        decode(decoders, "bad")
    with pytest.raises(UnexpectedFailure, match="ZeroDivisionError") as found:
        decode(decoders, "bug")
    assert "decoders.py" in found.value.trace


@pytest.mark.slow
def test_several_threads_have_a_process_each():
    made = DecoderPool(3, made_up)
    processes = []
    gate = threading.Barrier(3)

    def work():
        gate.wait()
        processes.append(int(decode(made, "slow")[0].seconds))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()
    assert len(set(processes)) == 3


def test_waiting_can_be_stopped(decoders):
    process_of(decoders)
    asked = count()

    def third_time():
        if next(asked) == 3:
            raise Stopped

    with pytest.raises(Stopped):  # before the timeout
        decode(decoders, "hang", third_time)


@posix
def test_processes_end_with_the_pool():
    made = DecoderPool(1, made_up)
    child = child_of(made)
    made.close()
    child.join(60)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


SCRIPT = """
import sys
from soundtags.audio.decoder_pool import DecoderPool
from soundtags.audio.features import FeatureSpec
from soundtags.audio.track import no_checkpoint

print("started")
spec = FeatureSpec(["TensorflowPredictMusiCNN"], 1, "sinc")
decoders = DecoderPool(1)
(chunk,) = decoders.features(sys.argv[1], spec, no_checkpoint)
decoders.close()
print(len(chunk.patches["TensorflowPredictMusiCNN"]))
"""


def test_processes_do_not_run_the_script_that_starts_them(tmp_path):
    write_track(tmp_path / "a.flac", title="a", seed=0)
    script = tmp_path / "script.py"  # without a check of its name
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, tmp_path / "a.flac"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["started", "1"], done.stderr


def test_a_process_that_cannot_start_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "gone_soon.py").write_text("def work(*_): pass")
    monkeypatch.syspath_prepend(tmp_path)
    import gone_soon

    (tmp_path / "gone_soon.py").unlink()
    with pytest.raises(NoDecoderProcess):
        decode(DecoderPool(1, gone_soon.work), "any")


@posix
def test_why_no_process_starts_is_said(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    made = DecoderPool(1, made_up)
    with pytest.raises(NoDecoderProcess, match="current folder no longer exis"):
        decode(made, "any")
    monkeypatch.chdir(tmp_path)
    assert len(decode(made, "any")) == CHUNKS
    made.close()


@posix
def test_a_limit_on_open_files_is_named():
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        with pytest.raises(NoDecoderProcess, match="ulimit -n"):
            decode(DecoderPool(1, made_up), "any")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def refuse(*_):
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


@posix
def test_a_limit_on_processes_is_named(monkeypatch):
    monkeypatch.setattr("multiprocessing.util.spawnv_passfds", refuse)
    with pytest.raises(NoDecoderProcess, match="ulimit -u"):
        decode(DecoderPool(1, made_up), "any")


@posix
def test_the_processes_that_there_are_do_the_work_of_others(monkeypatch):
    made = DecoderPool(2, made_up)
    first = made.features("first", NOTHING, no_checkpoint)
    process = next(first).seconds  # the other decoder is still to be started
    gate = threading.Barrier(2)
    monkeypatch.setattr("multiprocessing.util.spawnv_passfds", refuse)
    found = []

    def work():
        gate.wait()
        found.append(decode(made, "slow"))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()
    assert [len(chunks) for chunks in found] == [CHUNKS] * 2
    assert {chunk.seconds for chunks in found for chunk in chunks} == {process}


@posix
@pytest.mark.slow
def test_a_run_without_decoder_processes_ends_with_one_line(
    beet: Beet, tmp_path
):
    for number in range(3):
        music = tmp_path / f"in{number}"
        music.mkdir()
        write_track(music / "a.flac", title=str(number), seed=number)
    beet("import", "-A", "-s", tmp_path / "in0", tmp_path / "in1")
    folder = tmp_path / "gone"

    def without_folder(*words, status):
        folder.mkdir()
        done = beet.fresh(
            *words, status=status, cwd=folder, preexec_fn=folder.rmdir
        )
        assert done.stderr.count("the current folder no longer exists") == 1
        assert done.stderr.count("process") == 1
        return done

    without_folder("soundtags", "-f", status=1)
    done = without_folder("import", "-A", "-s", tmp_path / "in2", status=0)
    assert "importing without analysis" in done.stderr
    assert [item["title"] for item in beet.items()] == ["0", "1", "2"]


CRASHING = """
import os, signal, sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

here = os.path.dirname(__file__)
found = PathFinder.find_spec("soundfile", [p for p in sys.path if p != here])
module = module_from_spec(found)
sys.modules["soundfile"] = module
found.loader.exec_module(module)
begin = module.SoundFile.__init__


def crash(self, file, *args, **kwargs):
    if b"crashing" in os.fsencode(file):
        os.kill(os.getpid(), signal.SIGSEGV)
    begin(self, file, *args, **kwargs)


module.SoundFile.__init__ = crash
"""


@posix
@pytest.mark.models  # otherwise, files are decoded in beet's own process
def test_a_crash_of_a_decoder_does_not_take_beets_down(
    beet: Beet, tmp_path, monkeypatch
):
    names = ["before", "crashing", "later"]
    music = tmp_path / "in"
    music.mkdir()
    for seed, name in enumerate(names):
        write_track(music / f"{name}.flac", title=name, seed=seed)
    (tmp_path / "soundfile.py").write_text(CRASHING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    imported = beet("import", "-A", "-C", music)
    assert "the decoder crashed: SIGSEGV" in imported.stderr
    done = beet("soundtags", "-f")
    assert "the decoder crashed: SIGSEGV" in done.stderr
    assert "2 tagged, 0 already up to date, 1 failed" in done.stdout
    tagged = [item["title"] for item in beet.items("danceability:0..")]
    assert tagged == ["before", "later"]
