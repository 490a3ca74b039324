"""Where models come from: a server or a folder, shown without passwords."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from soundtags.errors import InsecureSource, UnreachableHost

DEFAULT_SOURCE = "https://essentia.upf.edu/models/"

URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # "D:\" is none
HERE = {"localhost", "127.0.0.1", "::1"}

# All from :// to the last @, unless a plain host follows the ://.
PLAIN_HOST = r"(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?(?:[/?#]|$)"
IN_URL = re.compile(rf"(?<=://)(?!{PLAIN_HOST}).*@", re.IGNORECASE)
IN_TEXT = re.compile(rf"(?<=://)(?!{PLAIN_HOST})\S*@", re.IGNORECASE)

OTHER_SOURCE = "set another source in the configuration"
SECURE_SOURCE = (
    "name an https:// address or a folder as the source, or allow plain HTTP"
    " with --insecure"
)


def without_password(url: str) -> str:
    """Return a URL, or a path, as it may be shown.

    Examples
    --------
    >>> without_password("https://me:secret@example.org/models/")
    'https://***@example.org/models/'
    """
    return IN_URL.sub("***@", url)


def without_passwords(text: str) -> str:
    """Return a text with the URLs in it as they may be shown."""
    return IN_TEXT.sub("***@", text)


def is_secure(url: str, insecure: bool) -> bool:
    """Return whether files may be fetched from a URL.

    Raises
    ------
    ValueError
        If it is not a URL.
    """
    parts = urlsplit(url)
    allowed = ["https"]
    if insecure or parts.hostname in HERE:
        allowed.append("http")
    return parts.scheme in allowed


def check_source(source: str, insecure: bool) -> None:
    """Check a source as far as possible without contacting it.

    Parameters
    ----------
    source
        URL or path of a folder.
    insecure
        Whether plain HTTP is good enough.

    Raises
    ------
    InsecureSource
        If it is a URL, but not HTTPS.
    UnreachableHost
        If it is neither a valid URL nor a folder.
    """
    shown = without_password(source)
    if not URL.match(source):
        if not Path(source).is_dir():
            raise UnreachableHost(f"{shown}: no such folder; {OTHER_SOURCE}")
        return
    try:
        urlsplit(source).port  # noqa: B018 (raises an error if it is none)
        secure = is_secure(source, insecure)
    except ValueError as exc:
        raise UnreachableHost(
            f"{shown} is not an address; {OTHER_SOURCE}"
        ) from exc
    if not secure:
        raise InsecureSource(f"{shown} is not HTTPS; {SECURE_SOURCE}")
