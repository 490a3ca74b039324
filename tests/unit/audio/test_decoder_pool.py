"""Files that are read in processes of their own, and what happens to these."""

from __future__ import annotations

import errno
import multiprocessing
import os
import threading
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from support.audio import noise, write_track
from support.beet import Beet
from support.decoders import PORTIONS, SLOW, made_up

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

NOTHING = FeatureSpec((), None, "soxr")
PATIENCE = 3.0  # seconds; a process may take one to start
posix = pytest.mark.skipif(
    os.name == "nt", reason="Windows has other ways to die"
)


@pytest.fixture(scope="module")
def readers() -> Iterator[DecoderPool]:
    """A process at a time; it takes most of a second to start one."""
    made = DecoderPool(1, made_up, timeout=PATIENCE)
    yield made
    made.close()


def read(readers, name, checkpoint=no_checkpoint):
    return list(readers.features(name, NOTHING, checkpoint))


def process_of(readers) -> int:
    return int(read(readers, "any")[0].seconds)


def child_of(readers) -> BaseProcess:
    process = process_of(readers)
    (child,) = [
        each
        for each in multiprocessing.active_children()
        if each.pid == process
    ]
    return child


@pytest.mark.parametrize("patches", [5, None])
def test_what_is_read_is_the_same_as_in_this_process(tmp_path, patches):
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(120, 16000), 16000)
    wanted = FeatureSpec(list(FRONT_ENDS), patches, "soxr")
    expected = list(features(str(path), wanted))
    made = DecoderPool(1)
    found = list(made.features(str(path), wanted, no_checkpoint))
    made.close()
    assert [f.last for f in found] == [e.last for e in expected]
    for one, other in zip(found, expected):
        assert (one.seconds, one.level) == (other.seconds, other.level)
        for name, each in other.patches.items():
            assert np.array_equal(one.patches[name], each)
            assert np.array_equal(one.times[name], other.times[name])


def test_one_process_reads_one_file_after_the_other(readers):
    assert process_of(readers) == process_of(readers) != os.getpid()


@posix
@pytest.mark.parametrize(
    ("name", "reason"), [("segfault", "SIGSEGV"), ("abort", "SIGABRT")]
)
def test_a_crash_costs_its_file_alone(readers, name, reason):
    before = process_of(readers)
    with pytest.raises(CrashedDecoder, match=reason):
        read(readers, name)
    assert process_of(readers) != before


@pytest.mark.slow
def test_a_file_that_hangs_is_given_up(readers):
    with pytest.raises(HangingDecoder, match="made no progress for 3 s"):
        read(readers, "hang")
    assert len(read(readers, "next")) == PORTIONS


@pytest.mark.slow
def test_a_file_that_takes_long_is_not(readers):
    assert SLOW > PATIENCE
    assert len(read(readers, "slow")) == PORTIONS


def test_files_can_be_read_by_turns(readers):
    names = [f"file {number}" for number in range(module.MAX_OPEN + 3)]
    # More than a process keeps open: some are begun anew.
    files = [readers.features(n, NOTHING, no_checkpoint) for n in names]
    for number in range(PORTIONS):
        for name, file in zip(names, files):
            portion = next(file)
            assert (portion.patches[name] == number).all()
            assert portion.last == (number == PORTIONS - 1)


@posix
def test_files_that_were_open_go_on_after_a_crash(readers):
    file = readers.features("open", NOTHING, no_checkpoint)
    assert (next(file).patches["open"] == 0).all()
    with pytest.raises(CrashedDecoder):
        read(readers, "segfault")
    assert (next(file).patches["open"] == 1).all()


def test_a_process_that_somebody_killed_is_replaced(readers):
    victim = child_of(readers)
    victim.kill()
    victim.join()
    assert process_of(readers) != victim.pid


def test_errors_arrive(readers):
    with pytest.raises(UnreadableAudio, match=r"^made to fail$"):
        read(readers, "bad")
    with pytest.raises(UnexpectedFailure, match="ZeroDivisionError") as found:
        read(readers, "bug")
    assert "decoders.py" in found.value.trace


@pytest.mark.slow
def test_several_threads_have_a_process_each():
    made = DecoderPool(3, made_up)
    processes = []
    gate = threading.Barrier(3)

    def work():
        gate.wait()
        processes.append(int(read(made, "slow")[0].seconds))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()
    assert len(set(processes)) == 3


def test_who_waits_can_be_stopped(readers):
    process_of(readers)
    asked = count()

    def third_time():
        if next(asked) == 3:
            raise Stopped

    with pytest.raises(Stopped):  # before the timeout
        read(readers, "hang", third_time)


@posix
def test_processes_end_with_us(readers):
    child = child_of(readers)
    readers.close()
    child.join(60)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_that_there_can_be_no_process_is_said(tmp_path, monkeypatch):
    (tmp_path / "gone_soon.py").write_text("def work(*_): pass")
    monkeypatch.syspath_prepend(tmp_path)
    import gone_soon

    (tmp_path / "gone_soon.py").unlink()
    with pytest.raises(NoDecoderProcess):
        read(DecoderPool(1, gone_soon.work), "any")


@posix
def test_why_no_process_starts_is_said(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    made = DecoderPool(1, made_up)
    with pytest.raises(NoDecoderProcess, match="current folder no longer exis"):
        read(made, "any")
    monkeypatch.chdir(tmp_path)
    assert len(read(made, "any")) == PORTIONS
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
            read(DecoderPool(1, made_up), "any")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def refuse(*_):
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


@posix
def test_a_limit_on_processes_is_named(monkeypatch):
    monkeypatch.setattr("multiprocessing.util.spawnv_passfds", refuse)
    with pytest.raises(NoDecoderProcess, match="ulimit -u"):
        read(DecoderPool(1, made_up), "any")


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
        found.append(read(made, "slow"))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()
    assert [len(chunks) for chunks in found] == [PORTIONS] * 2
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
@pytest.mark.models  # whose files are read in other processes
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
