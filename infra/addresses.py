"""Addresses of the storage root, databases and servers: built by URL libraries, and checked before a run.

A secret in an address would be repeated by every step's record, so none is taken in any form.
"""

import os
import re
from pathlib import Path
from urllib.parse import unquote

# Spark, fsspec and glob give these characters of a path a meaning of their own.
UNUSABLE = re.compile(r"[*?\[\]{}\\\x00-\x1f\x7f]|::")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
BUCKET = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
# Names that parameters of an address give to secrets: password, sslpassword, pwd, access_token, sig, …
SECRET = r"[\w.-]*(?:pass|pwd|secret|token|api.?key|access.?key|credential|signature|auth)[\w.-]*|sig|key"
PARAMETER = re.compile(rf"(?:^|[?&;#/{{\s])(?:{SECRET})\s*=", re.IGNORECASE)
ADDRESS = re.compile(r"[A-Za-z][\w+.-]*:/\S+")
# Databases in a file have no user; their paths may hold any character.
OF_FILES = ("sqlite:", "file:")


class AddressError(ValueError):
    """An address cannot work, or must not be used; the message says what to give."""


def sqlite_uri(file: str | Path) -> str:
    """The address of a database in a file, whatever characters are in its path."""
    from sqlalchemy.engine import URL

    return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite address, None for any other."""
    from sqlalchemy.engine import make_url

    return Path(make_url(uri).database or "") if uri.startswith("sqlite:") else None


def file_uri(folder: str | Path) -> str:
    """The address of a folder of this machine."""
    return Path(folder).as_uri()


def require_usable_root(root: str) -> None:
    """Refuse a storage root that a step would stumble over.

    Raises:
        AddressError: it is no folder's path and no S3 address, leads elsewhere, or holds what an engine
            takes for something else.
    """
    shown = repr(root)
    if root.startswith("s3:"):
        _require_usable_prefix(root)
    elif SCHEME.match(root):
        raise AddressError(f"the storage root {shown} is neither a folder nor s3://BUCKET/PREFIX")
    elif found := UNUSABLE.search(root):
        raise AddressError(
            f"the storage root {shown} holds {found[0]!r}, which Spark or another engine takes for a "
            "pattern; choose a folder without it"
        )
    elif not _is_utf8(root):
        raise AddressError(f"the name of the storage root {shown} is not UTF-8; choose another folder")


def _require_usable_prefix(root: str) -> None:
    bucket, *parts = root.removeprefix("s3://").rstrip("/").split("/")
    if not root.startswith("s3://") or not BUCKET.fullmatch(bucket) or ".." in bucket:
        raise AddressError(f"the storage root {root!r} names no bucket; give s3://BUCKET/PREFIX")
    if {"", ".", ".."} & set(parts) or any(UNUSABLE.search(part) for part in parts):
        raise AddressError(
            f"the storage root {root!r} has a part that cannot be a folder's name; give s3://BUCKET/PREFIX"
        )


def _is_utf8(path: str) -> bool:
    return os.fsencode(path).decode("utf-8", "replace").find("\ufffd") < 0


def require_no_secret(name: str, address: str) -> None:
    """Refuse an address that holds a user, a password or a token; the message does not repeat it.

    Raises:
        AddressError: it does, in whatever part.
    """
    user = "@" in _unquoted(address) and not address.startswith(OF_FILES)
    if user or PARAMETER.search(_parameters(address)):
        raise AddressError(
            f"{name} holds a password, a user or a token, which every step's record would repeat: give it in "
            "the environment, as MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            "MLFLOW_TRACKING_TOKEN, PGUSER and PGPASSWORD, or as AWS's variables"
        )


def without_secrets(text: str) -> str:
    """A message without what addresses in it may hold: `user:password@`, parameters that have a secret."""
    return ADDRESS.sub(lambda found: _without_secrets(found[0]), text)


def _without_secrets(address: str) -> str:
    plain = _unquoted(address)
    if "@" in plain and not address.startswith(OF_FILES):
        address = plain = re.sub(r"//.*@", "//", plain, flags=re.DOTALL)
    if PARAMETER.search(_parameters(address)):
        address = re.split(r"[?#;]", plain, maxsplit=1)[0] + "?…"
    return address


def _parameters(address: str) -> str:
    """What follows the path, decoded as often as it is encoded."""
    found = re.search(r"[?#;]", address) or re.search(r"%(?:25)*(?:3f|23|3b)", address, re.IGNORECASE)
    return _unquoted(address[found.start() :]) if found else ""


def _unquoted(text: str) -> str:
    while (plain := unquote(text)) != text:
        text = plain
    return text
