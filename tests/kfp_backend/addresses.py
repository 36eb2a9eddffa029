"""Artifact addresses as Kubeflow Pipelines 2.17.0 makes and reads them; its words where it refuses one.

Places are files and lines of github.com/kubeflow/pipelines at tag 2.17.0, below backend/src/v2.
"""

import posixpath
import re
from dataclasses import dataclass

# objectstore/config.go:118
BUCKET = re.compile(r"(^[a-z][a-z0-9]+:///?)([^/?]+)(/[^?]*)?(\?.+)?$")
# objectstore/config.go:137 and 161
SCHEMES = ("gs://", "s3://", "minio://", "mem://")
# component/launcher_v2.go:1239
MOUNTS = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/"}


class BackendError(Exception):
    """The backend refuses something; the message is its own."""


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the prefix below which its keys begin (objectstore/config.go:48)."""

    scheme: str
    name: str
    prefix: str = ""

    @property
    def prefixed(self) -> str:
        """The address that artifacts of this bucket begin with (objectstore/config.go:97)."""
        return self.scheme + posixpath.join(self.name, self.prefix).rstrip("/")

    def key_of(self, uri: str) -> str:
        """An artifact's key below the prefix (objectstore/config.go:101)."""
        if not uri.startswith(self.prefixed):
            raise BackendError(f'URI "{uri}" does not have expected bucket prefix "{self.prefixed}"')
        key = uri.removeprefix(self.prefixed).lstrip("/")
        if not key:
            raise BackendError(f'URI "{uri}" has empty key given prefixed bucket "{self.prefixed}"')
        return key


def parse_root(path: str) -> Bucket:
    """The bucket of a run's pipeline root (objectstore/config.go:130)."""
    scheme, name, rest = _parse(path, "unrecognized pipeline root format")
    prefix = rest.removeprefix("/")
    return Bucket(scheme, name, prefix if not prefix or prefix.endswith("/") else f"{prefix}/")


def parse_artifact(uri: str) -> Bucket:
    """The bucket of an artifact that is not below the run's root (objectstore/config.go:154)."""
    scheme, name, _ = _parse(uri, "unrecognized uri format")
    return Bucket(scheme, name)


def _parse(address: str, unrecognized: str) -> tuple[str, str, str]:
    found = BUCKET.match(address)
    if not found:
        raise BackendError(f'parse bucket config failed: {unrecognized}: "{address}"')
    if found[1] not in SCHEMES:
        raise BackendError(f'parse bucket config failed: unsupported Cloud bucket: "{address}"')
    return found[1], found[2], found[3] or ""


def output_uri(root: str, *parts: str) -> str:
    """An address below a root (metadata/client.go:391)."""
    return f"{root.partition('?')[0].rstrip('/')}/{posixpath.join(*parts)}"


def local_path(uri: str) -> str | None:
    """Where an artifact is in the container, None where nowhere (component/launcher_v2.go:1239)."""
    for scheme, mount in MOUNTS.items():
        if uri.startswith(scheme):
            return mount + uri.removeprefix(scheme)
    return None
