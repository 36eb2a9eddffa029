"""Objects by parts: a range that is read, an upload in parts (infra/object_streams.py has files of them)."""

import contextlib
import errno
from dataclasses import dataclass

from infra.object_store import StoreError, client_at, explained, split_url


class Interrupted(Exception):
    """An answer broke off in the middle; the same request may succeed."""


@dataclass
class OpenObject:
    """An object that is read range by range; `etag` is filled in by the first, and a change is an error."""

    url: str
    endpoint: str
    etag: str = ""


def not_there(url: str) -> FileNotFoundError:
    """As a disk says it: with a number, by which readers tell a missing file from a broken one."""
    return FileNotFoundError(errno.ENOENT, "is not there", url)


def read_range(source: OpenObject, first: int, number: int) -> tuple[bytes, int]:
    """(content of a range, size of the whole object).

    Raises:
        FileNotFoundError: there is no such object.
        Interrupted: the answer broke off.
        StoreError: the request failed, or the object has changed since the first range.
    """
    from botocore.exceptions import ClientError, HTTPClientError, ResponseStreamingError

    bucket, key = split_url(source.url)
    options = {"IfMatch": source.etag} if source.etag else {}
    wanted = f"bytes={first}-{first + number - 1}"
    with explained(source.url, source.endpoint):
        try:
            answer = client_at(source.endpoint).get_object(Bucket=bucket, Key=key, Range=wanted, **options)
        except ClientError as error:
            code = error.response["Error"].get("Code", "")
            if code in ("NoSuchKey", "404"):
                raise not_there(source.url) from None
            if code == "InvalidRange":
                return b"", size_of(source.url, source.endpoint)
            raise
        source.etag = answer["ETag"]
        try:
            content = answer["Body"].read()
        except (HTTPClientError, ResponseStreamingError, OSError) as error:
            raise Interrupted(f"the answer broke off: {error}") from error
    size = int(answer["ContentRange"].rpartition("/")[2])
    if len(content) != min(number, size - first):
        raise Interrupted(f"the answer has {len(content)} bytes of {number}")
    return content, size


def size_of(url: str, endpoint: str) -> int:
    """An object's bytes.

    Raises:
        FileNotFoundError: there is no such object.
    """
    from botocore.exceptions import ClientError

    bucket, key = split_url(url)
    with explained(url, endpoint):
        try:
            return client_at(endpoint).head_object(Bucket=bucket, Key=key)["ContentLength"]
        except ClientError as error:
            if error.response["Error"].get("Code") not in ("404", "NoSuchKey"):
                raise
    raise not_there(url)


class PartedUpload:
    """An object on its way up in parts; one that fits into a part goes up by a single request."""

    def __init__(self, url: str, endpoint: str):
        self.url, self.endpoint = url, endpoint
        bucket, key = split_url(url)
        self._where = {"Bucket": bucket, "Key": key}
        self._upload_id, self._num_parts = "", 0
        self._etags: dict[int, str] = {}

    @property
    def started(self) -> bool:
        """Whether a part has been begun."""
        return bool(self._upload_id)

    def next_number(self) -> int:
        """The number of a new part; the first one begins the upload."""
        if not self.started:
            with explained(self.url, self.endpoint):
                answer = client_at(self.endpoint).create_multipart_upload(**self._where)
            self._upload_id = answer["UploadId"]
        self._num_parts += 1
        return self._num_parts

    def send(self, number: int, content: bytes) -> None:
        """Send a part; threads may send several at once."""
        with explained(self.url, self.endpoint):
            answer = client_at(self.endpoint).upload_part(
                **self._where, UploadId=self._upload_id, PartNumber=number, Body=content
            )
        self._etags[number] = answer["ETag"]

    def complete(self, content: bytes) -> None:
        """Let the object appear: of the parts that were sent, or, where there are none, with this content."""
        with explained(self.url, self.endpoint):
            if not self.started:
                client_at(self.endpoint).put_object(**self._where, Body=content)
                return
            parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(self._etags.items())]
            client_at(self.endpoint).complete_multipart_upload(
                **self._where, UploadId=self._upload_id, MultipartUpload={"Parts": parts}
            )

    def abort(self) -> None:
        """Remove the parts; should that fail, the bucket's lifecycle rule does it (infra/README.md)."""
        if self.started:
            with contextlib.suppress(StoreError), explained(self.url, self.endpoint):
                client_at(self.endpoint).abort_multipart_upload(**self._where, UploadId=self._upload_id)
