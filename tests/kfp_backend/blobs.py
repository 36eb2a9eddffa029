"""Artifacts up to a real S3 server and down from it, as the backend's launcher moves them.

Places are files and lines of github.com/kubeflow/pipelines at tag 2.17.0, below backend/src/v2. Every scheme
is the tests' one server, as `minio://` and `s3://` are one server on a stock installation.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kfp_backend.addresses import BackendError, Bucket


@dataclass(frozen=True)
class Blobs:
    """The objects of a server, below buckets with prefixes (objectstore/object_store.go:43)."""

    client: Any

    def upload(self, bucket: Bucket, file: Path, key: str) -> None:
        """A file or a folder of files (objectstore/object_store.go:111).

        Raises:
            FileNotFoundError: there is none; the launcher decides what that means.
        """
        file.stat()
        files = [item for item in file.rglob("*") if item.is_file()] if file.is_dir() else [file]
        for item in files:
            below = item.relative_to(file).as_posix()
            name = key if below == "." else f"{key}/{below}"
            self.client.upload_file(str(item), bucket.name, bucket.prefix + name)

    def download(self, bucket: Bucket, key: str, to: Path) -> list[Path]:
        """Everything at a key or below it, however much that is (objectstore/object_store.go:176)."""
        found = []
        for name in self.names(bucket, key):
            # objectstore/object_store.go:171: the server also lists what only begins alike.
            if name != key and not name.startswith(f"{key.rstrip('/')}/"):
                continue
            if ".." in name.split("/"):
                raise BackendError(f"path traversal detected: blob key \"{name}\" contains '..' component")
            file = to if name == key else to / name[len(key) :].lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            self.client.download_file(bucket.name, bucket.prefix + name, str(file))
            found.append(file)
        return found

    def names(self, bucket: Bucket, key: str) -> list[str]:
        """Keys that begin so, without the bucket's prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket.name, Prefix=bucket.prefix + key
        )
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [name.removeprefix(bucket.prefix) for name in keys]
