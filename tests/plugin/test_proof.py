"""Tags are written only where all else in a file provably stays."""

from __future__ import annotations

import shutil
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import av
import mediafile
import mutagen
import pytest
from support.audio import MADE, encode
from support.beet import Beet
from support.id3 import LONG, id3_tag, sized, tagged

from beetsplug.soundtags.file_tags import read_tags, restore_tags, write_tags
from soundtags.audio.ffmpeg import open_container
from soundtags.errors import UnwritableTags

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 27  # bytes of the header of an Ogg page, before sizes of segments
VALUES = {
    "mood": ["happy", "böse"],
    "danceability": 0.5,
    "genres": ["Rock", "Trip Hop"],
}


def packets(path: Path) -> list[bytes]:
    """Return the packets of a file, up to where it is damaged."""
    found = []
    with path.open("rb") as file, open_container(file) as container:
        with suppress(av.error.FFmpegError):
            found.extend(map(bytes, container.demux()))
        return found


def change(path: Path) -> None:
    """Write our tags, which is to be refused or to harm nothing."""
    assert write_tags(str(path), VALUES, id3v23=False)


def riff(path: Path, **sizes: int) -> None:
    """Make a WAV file whose header says other sizes than it has."""
    MADE["wav"](path)
    content = bytearray(path.read_bytes())
    place = content.index(b"data")
    if "outer" in sizes:
        struct.pack_into("<I", content, 4, sizes["outer"])
    if "data" in sizes:
        struct.pack_into("<I", content, place + 4, sizes["data"])
    path.write_bytes(content)


def aiff(path: Path, outer: int) -> None:
    MADE["aiff"](path)
    content = bytearray(path.read_bytes())
    struct.pack_into(">I", content, 4, outer)
    path.write_bytes(content)


def fragmented(path: Path, flags: str) -> None:
    whole = path.with_name("whole.m4a")
    encode(whole, "aac", "ipod")
    with (
        av.open(str(whole)) as source,
        av.open(str(path), "w", "mp4", options={"movflags": flags}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    whole.unlink()


def musepack(path: Path) -> None:
    """Make a Musepack file that ends after its header."""
    header = b"SH\x0c" + bytes(4) + b"\x08\x7f\x00\x00\x00"
    path.write_bytes(b"MPCK" + header + b"RG\x0c\x01" + bytes(8))


def monkeys_audio(path: Path, version: int) -> None:
    """Make a file of Monkey's Audio that has less audio than it says."""
    sizes = struct.pack("<7I", 52, 24, 4, 0, 10_000, 0, 0)
    header = struct.pack("<HHIIIHHI", 2000, 0, 73_728, 9_000, 1, 16, 2, 44_100)
    seek_table = struct.pack("<I", 80)
    start = b"MAC " + struct.pack("<HH", version, 0) + sizes + bytes(16)
    path.write_bytes(start + header + seek_table + bytes(range(256)) * 20)


def asf(path: Path) -> None:
    """Make a WMA file whose audio ends further away than files do."""
    MADE["wma"](path)
    content = bytearray(path.read_bytes())
    data = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
    place = content.index(data) + len(data)
    content[place - 2 : place + 6] = b"\xff" * 8
    path.write_bytes(content)


def with_id3(path: Path, place: int, value: int) -> None:
    """Make an MP3 file, and change a byte in the header of its tag."""
    MADE["mp3"](path)
    file = mediafile.MediaFile(path)
    file.title = "Title"
    file.save()
    content = bytearray(path.read_bytes())
    assert content.startswith(b"ID3")
    content[place] = value
    path.write_bytes(content)


def with_text_after_its_tag(path: Path) -> None:
    """Make a WAV file with text amid the chunk of its ID3v2 tag."""
    MADE["wav"](path)
    tag = id3_tag(3, LONG, 8) + b"text"
    audio = path.read_bytes()[8:]
    chunk = b"id3 " + struct.pack("<I", len(tag)) + tag
    size = struct.pack("<I", len(audio) + len(chunk))
    path.write_bytes(b"RIFF" + size + audio + chunk)


REFUSED: dict[str, Callable[[Path], None]] = {
    "outer size of an earlier moment.wav": lambda p: riff(p, outer=90_000),
    "sizes of an earlier moment.wav": lambda p: riff(
        p, outer=90_036, data=90_000
    ),
    "outer size of nothing.wav": lambda p: riff(p, outer=0),
    "outer size of a stream.wav": lambda p: riff(p, outer=0xFFFFFFFF),
    "outer size of sox.wav": lambda p: riff(p, outer=0x7FFFFFFF),
    "audio of a stream.wav": lambda p: riff(p, data=0x7FFFFFFF),
    "audio of no size.wav": lambda p: riff(p, data=0),
    "outer size.aiff": lambda p: aiff(p, outer=90_000),
    "outer size of a stream.aiff": lambda p: aiff(p, outer=0x7FFFFFFF),
    "cut off after the header.mpc": musepack,
    "cut off.ape": lambda p: monkeys_audio(p, 3990),
    "of an old version.ape": lambda p: monkeys_audio(p, 3970),
    # Some readers take such a header for audio, others for that of a tag.
    "impossible version.mp3": lambda p: with_id3(p, 3, 0xFF),
    "impossible revision.mp3": lambda p: with_id3(p, 4, 0xFF),
    "impossible size.mp3": lambda p: with_id3(p, 9, 0x80),
    # Frames whose sizes are not as one standard has them.
    "sizes of another version.mp3": lambda p: tagged(p, id3_tag(3, LONG, 7)),
    "sizes of two kinds.mp3": lambda p: tagged(
        p, id3_tag(4, LONG, 8, padding=id3_tag(4, LONG, 7)[10:])
    ),
    "size of more than the tag.mp3": lambda p: tagged(
        p, id3_tag(4, LONG, 7, padding=b"PRIV\0\0\x01\0\0\0data")
    ),
    "text in the padding.mp3": lambda p: tagged(
        p, id3_tag(3, LONG, 8, padding=bytes(20) + b"text" + bytes(20))
    ),
    "footer.mp3": lambda p: tagged(
        p, id3_tag(4, LONG, 7, 0x10, b"") + b"3DI\4\0\x10" + sized(1104)
    ),
    "text after the tag.wav": with_text_after_its_tag,
    "absurd place.wma": asf,
    "fragments.m4a": lambda p: fragmented(p, "frag_keyframe+empty_moov"),
    "dash.m4a": lambda p: fragmented(p, "dash"),
    "fragments.mp4": lambda p: fragmented(
        p, "frag_keyframe+empty_moov+default_base_moof"
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_damaged_is_refused(name: str, tmp_path: Path, capfd):
    path = tmp_path / name
    REFUSED[name](path)
    before = path.read_bytes()
    reason = "(it could damage the file|its tags cannot be read)"
    with pytest.raises(UnwritableTags, match=f"^tags not written: {reason}"):
        change(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert capfd.readouterr().err == ""  # libraries have nothing to add


@pytest.mark.parametrize("missing", [0, 40, 5_000, 400_000])
@pytest.mark.parametrize("name", ["mpc_sv8.mpc", "wavpack.wv"])
def test_tags_never_pass_for_the_end_of_the_audio(
    name, missing, shared, tmp_path
):
    # A decoder takes what follows an incomplete packet for the rest of it.
    content = (shared / "audio" / "formats" / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: len(content) - missing])
    before = packets(path)
    with suppress(UnwritableTags):
        change(path)
    assert packets(path) == before
    if not missing:
        assert [*mutagen.File(path)["Mood"]] == VALUES["mood"]


@pytest.mark.parametrize("missing", [40, 5_000, 400_000])
def test_incomplete_monkeys_audio_is_refused(missing, ape, tmp_path):
    path = tmp_path / "track.ape"
    content = ape.read_bytes()
    path.write_bytes(content[: content.rindex(b"APETAGEX", 0, -32) - missing])
    before = path.read_bytes()
    with pytest.raises(UnwritableTags, match="it is cut off"):
        change(path)
    assert path.read_bytes() == before


def test_comments_that_the_library_does_not_read_stay(tmp_path: Path):
    path = tmp_path / "track.flac"
    MADE["flac"](path)
    content = path.read_bytes()
    empty = b"\4\0\0\x08" + bytes(8)
    block = b"\4\0\0\x16" + struct.pack("<III", 0, 1, 10) + b"GENRE=Jazz"
    content = content[:42] + empty + block + content[42:]
    path.write_bytes(content)
    with pytest.raises(UnwritableTags, match="its GENRE tag cannot be read"):
        change(path)
    assert path.read_bytes() == content
    undo = read_tags(str(path), ["mood"])
    mood = {"mood": VALUES["mood"]}
    assert write_tags(str(path), mood, id3v23=False)
    assert block in path.read_bytes()
    assert restore_tags(str(path), undo, mood, id3v23=False)
    assert block in path.read_bytes()


@pytest.mark.parametrize("ending", MADE)
def test_our_tags_and_nothing_else_differ(ending: str, tmp_path: Path):
    path = tmp_path / f"track.{ending}"
    MADE[ending](path)
    before = packets(path)
    undo = read_tags(str(path), VALUES)
    change(path)
    assert packets(path) == before
    assert not write_tags(str(path), VALUES, id3v23=False)
    assert restore_tags(str(path), undo, VALUES, id3v23=False)
    assert packets(path) == before


@pytest.mark.parametrize(
    ("meddle", "complaint"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "its audio"),
        (
            lambda path: path.write_bytes(
                path.read_bytes().replace(b"SEEK", b"seek")
            ),
            "change its block 2",
        ),
        (
            lambda path: path.write_bytes(
                path.read_bytes().replace(b"title=there", b"title=THERE")
            ),
            "other tags: title",
        ),
        (
            lambda path: path.write_bytes(
                path.read_bytes().replace(b"MOOD=happy", b"MOOD=hxppy")
            ),
            "did not write MOOD correctly",
        ),
    ],
)
def test_what_the_library_does_wrong_is_noticed(
    meddle, complaint: str, tmp_path: Path, monkeypatch
):
    path = tmp_path / "track.flac"
    MADE["flac"](path)
    content = path.read_bytes()
    block = b"\2\0\0\x08SEEK1234"  # of an application
    path.write_bytes(content[:42] + block + content[42:])
    file = mutagen.File(path)
    file["title"] = "there"
    file.save()
    save_badly(monkeypatch, type(file), meddle)
    refused(path, complaint)


def save_badly(monkeypatch, kind: type, meddle: Callable[[Path], object]):
    """Have the library that writes tags spoil what it has written."""
    save = kind.save

    def saved(file, filething=None, **options):
        save(file, filething, **options)
        meddle(Path(file.filename))

    monkeypatch.setattr(kind, "save", saved)


def refused(path: Path, complaint: str) -> None:
    before = path.read_bytes()
    with pytest.raises(UnwritableTags, match=complaint):
        change(path)
    assert path.read_bytes() == before


def move_the_end_of_a_packet(path: Path) -> None:
    """Swap the sizes of two segments on the last page of an Ogg file."""
    content = bytearray(path.read_bytes())
    sizes = content.rindex(b"OggS") + PAGE
    first, second = content[sizes : sizes + 2]
    assert first != second
    content[sizes : sizes + 2] = second, first
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("meddle", "complaint"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"),
            "change its packets of stream 0",
        ),
        (move_the_end_of_a_packet, "change its packets of stream 0"),
        (
            lambda path: path.write_bytes(
                path.read_bytes().replace(b"\x01vorbis", b"\x01vorbiz")
            ),
            "no audio is found in it",
        ),
    ],
)
def test_what_the_library_does_wrong_to_ogg_is_noticed(
    meddle, complaint: str, tmp_path: Path, monkeypatch
):
    path = tmp_path / "track.ogg"
    MADE["ogg"](path)
    save_badly(monkeypatch, type(mutagen.File(path)), meddle)
    refused(path, complaint)


def test_tags_of_any_length_are_written(tmp_path: Path):
    # With one of them, "TAG" of an APE tag is where ID3v1 would have it.
    made, path = tmp_path / "made.wv", tmp_path / "track.wv"
    encode(made, "wavpack", "wv")
    for length in range(1, 100):
        shutil.copy(made, path)
        assert write_tags(str(path), {"mood": ["x" * length]}, id3v23=False)


def test_beet_says_why_and_goes_on(beet: Beet, tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    fragmented(folder / "bad.m4a", "frag_keyframe+empty_moov")
    MADE["flac"](folder / "good.flac")
    beet.configure(soundtags={"patches": 2, "auto": False})
    beet("import", "-A", folder)
    done = beet("soundtags")
    assert "1 tagged, 0 already up to date, 1 failed" in done.stdout
    (line,) = done.stderr.splitlines()
    assert ".m4a: tags not written: " in line
    assert "it is fragmented" in line


@pytest.mark.parametrize("step", ["import", "command"])
def test_case_files(step: str, beet: Beet, shared: Path, tmp_path: Path):
    """Audio of every case stays, whatever is done to its tags."""
    folder = tmp_path / "in"
    shutil.copytree(shared / "audio" / "cases", folder)
    before = {path.name: packets(path) for path in audio_in(folder)}
    beet.configure(
        soundtags={"patches": 2, "auto": step == "import"},
        paths={"default": "$title"},
        **{"import": {"copy": False, "write": True, "quiet": True}},
    )
    beet("import", "-A", folder)
    for args in (["soundtags"], ["soundtags", "--undo"]):
        beet(*args, status=None)
        for path in audio_in(folder):
            assert packets(path) == before[path.name], path.name


def audio_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix != ".md"]
