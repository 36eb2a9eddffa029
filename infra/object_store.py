"""Objects below `s3://bucket/prefix`: read, write, list, move whole folders, and say what to do about errors.

Every S3 server will do that checks signatures, has multipart uploads and conditional writes; `endpoint` is
its address, empty for AWS or for what AWS_ENDPOINT_URL_S3 says. Credentials come from where boto3 looks for
them (environment, profile, the pod's role) and from nowhere else.

Left out on purpose: versions of objects, access lists, encryption settings; the bucket has its own.
"""

import contextlib
import fnmatch
import functools
import json
import os
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.console import track
from infra.store import identity, json_bytes

SCHEME = "s3://"
PART_BYTES = 8 * 2**20
NUM_THREADS = 8
# As many as a request may remove.
BATCH_KEYS = 1_000
# What servers answer that cannot remove many at once, or want a checksum that boto3 does not send.
NO_BATCHES = ("NotImplemented", "InvalidRequest", "InvalidDigest", "MissingContentMD5", "MalformedXML")
# Shorter transfers need no progress.
MIN_TRACKED_BYTES = 256 * 2**20
WILDCARDS = "*?["
ADVICE = {
    "NoSuchBucket": "there is no such bucket: create it, or check its name and the endpoint",
    "NoSuchKey": "there is no such object",
    "SignatureDoesNotMatch": "the secret key is wrong: check AWS_SECRET_ACCESS_KEY",
    "InvalidAccessKeyId": "the access key is not known there: check AWS_ACCESS_KEY_ID and the endpoint",
    "AccessDenied": "these credentials may not do that: ask for read, write and list on the bucket",
    "403": "forbidden: check AWS_SECRET_ACCESS_KEY, and what these credentials may do in the bucket",
    "404": "not found: check the bucket, the path and the endpoint",
    "ExpiredToken": "the credentials have expired: get new ones",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it",
    "QuotaExceeded": "the bucket's quota is used up: raise it or remove what is not needed, then run again",
    "XMinioStorageFull": "the server's disks are full: make room there, then run again",
    "SlowDown": "the server asks for fewer requests, after 5 tries: run again when it has less to do",
    "ServiceUnavailable": "the server is overloaded or away, after 5 tries: run again when it is well",
    "NotImplemented": "the server lacks an S3 function that dcclip needs (infra/README.md lists them)",
}


class StoreError(Exception):
    """Object storage is at fault; the message tells a person what to do."""


@dataclass(frozen=True)
class Item:
    """An object below some address, by its name relative to that."""

    name: str
    num_bytes: int
    etag: str


def is_object(path: Any) -> bool:
    """Whether a path is an address in object storage."""
    return str(path).startswith(SCHEME)


def split_url(url: str) -> tuple[str, str]:
    """(bucket, key) of an address."""
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise StoreError(f"{url} names no bucket; expected s3://BUCKET/PREFIX")
    return bucket, key


def key_of(url: str) -> str:
    """An address without its bucket."""
    return split_url(url)[1]


def _key(prefix: str, name: str) -> str:
    """The key of what is called so below a prefix, which may be empty."""
    return f"{prefix}/{name}" if prefix else name


@functools.cache
def client_at(endpoint: str):
    """A client; threads may share it."""
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 5},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=2 * NUM_THREADS,
        # Names of buckets are host names on AWS only.
        s3={"addressing_style": "path"} if endpoint else None,
    )
    return boto3.session.Session().client("s3", endpoint_url=endpoint or None, config=config)


@contextlib.contextmanager
def endpoint_known(endpoint: str) -> Iterator[None]:
    """Let every S3 client in this process, and those it starts, know the endpoint: MLflow's is one."""
    name = "AWS_ENDPOINT_URL_S3"
    before = os.environ.get(name)
    os.environ |= {name: endpoint} if endpoint else {}
    try:
        yield
    finally:
        if endpoint:
            os.environ.pop(name)
            os.environ |= {name: before} if before else {}


@contextlib.contextmanager
def explained(url: str, endpoint: str) -> Iterator[None]:
    """Turn the errors of a request into StoreError with advice."""
    from botocore import exceptions as failures
    from s3transfer.exceptions import RetriesExceededError

    where = f"{url} at {endpoint}" if endpoint else url
    try:
        yield
    except failures.ClientError as error:
        code = error.response["Error"].get("Code", "")
        raise StoreError(f"{where}: {ADVICE.get(code, error)}") from error
    except (failures.NoCredentialsError, failures.PartialCredentialsError) as error:
        raise StoreError(
            f"{where}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role"
        ) from error
    except (failures.HTTPClientError, failures.ConnectionError, RetriesExceededError) as error:
        raise StoreError(f"{where}: the endpoint cannot be reached: {error}") from error
    except (failures.ParamValidationError, ValueError) as error:
        raise StoreError(f"{where}: no such address: {error}") from error


def list_items(url: str, endpoint: str) -> list[Item]:
    """The objects whose address starts with `url`, named by the rest of it, in order."""
    bucket, prefix = split_url(url)
    with explained(url, endpoint):
        pages = client_at(endpoint).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = [item for page in pages for item in page.get("Contents", [])]
    return [Item(item["Key"][len(prefix) :], item["Size"], item["ETag"].strip('"')) for item in found]


def list_folder(url: str, endpoint: str) -> list[Item]:
    """The objects below a folder; what could not be a file's name below a local one is refused."""
    # Some clients, pyarrow's among them, keep an empty object for a folder, this one or one below.
    items = [item for item in list_items(f"{url}/", endpoint) if not f"/{item.name}".endswith("/")]
    _require_file_names(items, url)
    return items


def has_items(url: str, endpoint: str) -> bool:
    """Whether there is an object whose address starts with `url`."""
    bucket, prefix = split_url(url)
    with explained(url, endpoint):
        return bool(client_at(endpoint).list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)["KeyCount"])


def read_bytes(url: str, endpoint: str) -> bytes | None:
    """An object's content, None when it is not there."""
    bucket, key = split_url(url)
    with explained(url, endpoint):
        client = client_at(endpoint)
        try:
            return client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None


def write_bytes(url: str, content: bytes, endpoint: str) -> None:
    """Write an object, in place of one that is there."""
    bucket, key = split_url(url)
    with explained(url, endpoint):
        client_at(endpoint).put_object(Bucket=bucket, Key=key, Body=content)


def read_json(url: str, endpoint: str) -> Any:
    """The value in a JSON object, None when it is not there."""
    content = read_bytes(url, endpoint)
    try:
        return None if content is None else json.loads(content)
    except ValueError:
        raise StoreError(f"{url} is empty or cut off; remove it, then run again") from None


def write_new_json(url: str, value: Any, endpoint: str) -> bool:
    """Write a JSON object unless it is there already; says whether it was written."""
    from botocore.exceptions import ClientError

    bucket, key = split_url(url)
    content = json_bytes(value, indent=1)
    with explained(url, endpoint):
        try:
            client_at(endpoint).put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return False
    return True


def remove(url: str, endpoint: str, keep: Container[str] = ()) -> None:
    """Remove all objects whose address starts with `url`, and abort what is half uploaded there.

    Those stay whose rest of the address is among `keep`.
    """
    bucket, prefix = split_url(url)
    with explained(url, endpoint):
        abort_uploads(url, endpoint)
        names = [item.name for item in list_items(url, endpoint) if item.name not in keep]
        _remove_keys(bucket, [prefix + name for name in names], endpoint)


def remove_names(names: Iterable[str], url: str, endpoint: str) -> None:
    """Remove objects below an address by their names, those that are there."""
    bucket, prefix = split_url(url)
    with explained(url, endpoint):
        _remove_keys(bucket, [_key(prefix, name) for name in names], endpoint)


def _remove_keys(bucket: str, keys: list[str], endpoint: str) -> None:
    """A thousand a request, several requests at once; one by one where the server refuses that."""
    from botocore.exceptions import ClientError

    batches = [keys[start : start + BATCH_KEYS] for start in range(0, len(keys), BATCH_KEYS)]
    with ThreadPoolExecutor(NUM_THREADS) as threads:
        try:
            for batch in batches[:1]:
                _remove_batch(bucket, batch, endpoint)
            list(threads.map(lambda batch: _remove_batch(bucket, batch, endpoint), batches[1:]))
        except ClientError as error:
            if error.response["Error"].get("Code") not in NO_BATCHES:
                raise
            client = client_at(endpoint)
            list(threads.map(lambda key: client.delete_object(Bucket=bucket, Key=key), keys))


def _remove_batch(bucket: str, keys: list[str], endpoint: str) -> None:
    """Raises StoreError for what the server keeps."""
    objects = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
    answer = client_at(endpoint).delete_objects(Bucket=bucket, Delete=objects)
    for kept in answer.get("Errors", []):
        raise StoreError(f"s3://{bucket}/{kept.get('Key')} could not be removed: {kept.get('Message')}")


def remove_one(url: str, endpoint: str) -> None:
    """Remove one object, if it is there."""
    bucket, key = split_url(url)
    with explained(url, endpoint):
        client_at(endpoint).delete_object(Bucket=bucket, Key=key)


def abort_uploads(url: str, endpoint: str) -> None:
    """Abort the multipart uploads that were begun below an address and never completed."""
    bucket = split_url(url)[0]
    for upload in unfinished_uploads(url, endpoint):
        with explained(url, endpoint):
            client_at(endpoint).abort_multipart_upload(
                Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )


def unfinished_uploads(url: str, endpoint: str) -> list[dict]:
    """Multipart uploads that were begun below an address and never completed (Key, UploadId)."""
    bucket, prefix = split_url(url)
    with explained(url, endpoint):
        pages = (
            client_at(endpoint).get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
        )
        return [upload for page in pages for upload in page.get("Uploads", [])]


def upload(files: dict[str, Path], url: str, endpoint: str, step: str) -> None:
    """Put files below an address under their names; each object appears when it is whole."""
    bucket, prefix = split_url(url)
    num_bytes = sum(path.stat().st_size for path in files.values())
    with _transfers(url, endpoint, step, "upload", num_bytes) as (manager, progress):
        waiting = [
            manager.upload(str(path), bucket, _key(prefix, name), subscribers=progress)
            for name, path in files.items()
        ]
        for future in waiting:
            future.result()


def download(items: list[Item], url: str, folder: Path, endpoint: str, step: str) -> None:
    """Fetch objects below an address into a folder under their names."""
    bucket, prefix = split_url(url)
    for parent in {(folder / item.name).parent for item in items}:
        parent.mkdir(parents=True, exist_ok=True)
    num_bytes = sum(item.num_bytes for item in items)
    with _transfers(url, endpoint, step, "download", num_bytes) as (manager, progress):
        waiting = [
            manager.download(bucket, _key(prefix, item.name), str(folder / item.name), subscribers=progress)
            for item in items
        ]
        for future in waiting:
            future.result()


@contextlib.contextmanager
def _transfers(url: str, endpoint: str, step: str, what: str, num_bytes: int):
    """(transfer manager, its progress): parts and files side by side; an error aborts all under way."""
    from s3transfer.manager import TransferConfig, TransferManager
    from s3transfer.subscribers import BaseSubscriber

    class Progress(BaseSubscriber):
        def on_progress(self, future, bytes_transferred, **kwargs):
            bar.update(bytes_transferred)

    config = TransferConfig(
        multipart_threshold=PART_BYTES,
        multipart_chunksize=PART_BYTES,
        max_request_concurrency=NUM_THREADS,
    )
    options = {"unit": "B", "unit_scale": True, "disable": num_bytes < MIN_TRACKED_BYTES}
    with (
        explained(url, endpoint),
        track(step, total=num_bytes, desc=what, **options) as bar,
        TransferManager(client_at(endpoint), config) as manager,
    ):
        yield manager, [Progress()]


def find_inputs(path: str, endpoint: str) -> tuple[str, list[Item]]:
    """(folder, objects below it) for an object, all objects of a folder, or those that fit a pattern.

    The folder is the one that the object, the folder or the pattern's first level with a `*`, `?` or `[…]`
    stands in. Such a character stands for characters within one level of the path.

    Raises:
        StoreError: nothing is there.
    """
    path = path.rstrip("/")
    fixed = path[: min((path.find(char) for char in WILDCARDS if char in path), default=len(path))]
    folder = fixed.rpartition("/")[0]
    if not key_of(path):
        raise StoreError(f"{path} is a whole bucket; name a folder in it")
    rest = path[len(folder) + 1 :]
    items = [
        Item(fixed[len(folder) + 1 :] + item.name, item.num_bytes, item.etag)
        for item in list_items(fixed, endpoint)
        if not item.name.endswith("/")
    ]
    found = [item for item in items if _fits(item.name, rest)]
    if not found:
        raise StoreError(f"nothing is at {path}{f', at {endpoint}' if endpoint else ''}")
    _require_file_names(found, folder)
    return folder, found


def _require_file_names(items: list[Item], url: str) -> None:
    """Raises StoreError for what could not be a file's name below a local folder."""
    for item in items:
        if {"", ".", ".."} & set(item.name.split("/")):
            raise StoreError(f"{url}/{item.name} cannot be a file's name; rename or remove it")


def _fits(name: str, path: str) -> bool:
    """Whether a name is that of the object, lies in the folder, or fits the pattern level by level."""
    if name == path or name.startswith(f"{path}/"):
        return True
    names, patterns = name.split("/"), path.split("/")
    pairs = zip(names, patterns, strict=False)
    return len(names) == len(patterns) and all(fnmatch.fnmatchcase(*pair) for pair in pairs)


def fingerprint_of(items: list[Item]) -> str:
    """A hash of names, sizes and the server's hashes of contents."""
    return identity([[item.name, item.num_bytes, item.etag] for item in items])


def fingerprint(path: str, endpoint: str) -> str:
    """What `infra.store.fingerprint` is to files; nothing is downloaded for it."""
    return fingerprint_of(find_inputs(path, endpoint)[1])
