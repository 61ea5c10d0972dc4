"""The requests to the JSON API for one bucket. They block.

Resumable uploads: https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .errors import GONE, refusal, translated
from .sdk import google_crc32c, requests

#: Each request except the last one must carry a multiple of this many bytes. If a request breaks
#: off, the store keeps a multiple of this many bytes:
#: https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload
GRANULE = 256 * 1024

#: The most seconds to connect, and between two bytes of an answer.
TIMEOUT = (10, 60)

Chunks = Sequence[bytes | memoryview]

#: The fields of an object that the sink asks for.
FIELDS = "name,generation,metageneration,size,crc32c,metadata,timeCreated"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a session has: the first ``stored`` bytes, or the finished ``object``."""

    stored: int
    object: dict[str, Any] | None = None


class Body:
    """The body of a request, which reads the chunks without copying them.

    Every iteration begins at the first chunk, because the SDK sends a request again when it has
    renewed its token.
    """

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks

    def __len__(self) -> int:
        return sum(map(len, self._chunks))

    def __iter__(self) -> Iterator[bytes | memoryview]:
        return iter(self._chunks)


def pieces(chunks: Chunks, start: int, end: int) -> list[memoryview]:
    """Return the bytes ``start`` to ``end`` (excluded) of the chunks, without a copy."""
    found, offset = [], 0
    for chunk in chunks:
        if start < offset + len(chunk) and offset < end:
            found.append(memoryview(chunk)[max(0, start - offset) : end - offset])
        offset += len(chunk)
    return found


def crc32c(chunks: Chunks, crc: int = 0) -> int:
    """Return the CRC32C of bytes whose CRC32C is ``crc``, followed by the chunks."""
    for chunk in chunks:
        # The function is written in C, and does not take views.
        crc = google_crc32c.extend(crc, bytes(chunk))
    return crc


def encoded(crc: int) -> str:
    """Return a CRC32C as the store writes it: https://cloud.google.com/storage/docs/data-validation"""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def decoded(crc: str) -> int:
    """Return the CRC32C that the store has written as ``crc``."""
    return int.from_bytes(base64.b64decode(crc), "big")


class Api:
    """Makes the requests. ``connect`` returns a session that signs requests, and the base URL."""

    def __init__(
        self, bucket: str, where: str, connect: Callable[[], tuple[requests.Session, str]]
    ) -> None:
        self._where = where
        self._connect = connect
        self._bucket = f"/storage/v1/b/{quote(bucket, safe='')}"

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        fine: Sequence[int] = (200, 201, 204),
        **kwargs: Any,
    ) -> requests.Response:
        """Make a request. Raises a :class:`SinkError` if its status is not in ``fine``."""
        with translated(self._where, operation):
            http, base = self._connect()
            # The URI of a session is a complete URL.
            url = path if path.startswith("http") else base + path
            response = http.request(method, url, timeout=TIMEOUT, allow_redirects=False, **kwargs)
        if response.status_code not in fine:
            raise refusal(self._where, operation, response)
        return response

    # Sessions

    def begin(
        self, key: str, size: int, resource: Mapping[str, Any], params: Mapping[str, Any]
    ) -> str:
        """Begin a session for an object of ``size`` bytes, and return its URI.

        ``resource`` describes the object. A session ends after a week.
        """
        response = self._call(
            "begin",
            "POST",
            f"/upload{self._bucket}/o",
            params={"uploadType": "resumable", "name": key, **params},
            json=resource,
            headers={
                "X-Upload-Content-Type": resource["contentType"],
                "X-Upload-Content-Length": str(size),
            },
        )
        return str(response.headers["Location"])

    def put(self, session: str, chunks: Chunks, start: int, size: int, crc: int | None) -> Answer:
        """Send bytes of an object, from the byte ``start`` on.

        ``size`` is the size of the whole object in bytes. ``crc`` is the CRC32C of the whole
        object, and is sent with its last bytes. The store answers 400 if the CRC32C is wrong ("JSON
        API resumable uploads"):
        https://cloud.google.com/storage/docs/data-validation#server-validation
        """
        body = Body(chunks)
        range_ = f"{start}-{start + len(body) - 1}" if len(body) else "*"
        headers = {"Content-Range": f"bytes {range_}/{size}"}
        if crc is not None:
            headers["X-Goog-Hash"] = f"crc32c={encoded(crc)}"
        return self._ask("put", session, headers, body if len(body) else b"")

    def query(self, session: str, size: int) -> Answer:
        """Return what the session has.

        https://cloud.google.com/storage/docs/performing-resumable-uploads#status-check
        """
        return self._ask("query", session, {"Content-Range": f"bytes */{size}"}, b"")

    def _ask(
        self, operation: str, session: str, headers: dict[str, str], body: Body | bytes
    ) -> Answer:
        headers["Content-Type"] = "application/octet-stream"
        response = self._call(
            operation, "PUT", session, fine=(200, 201, 308), headers=headers, data=body
        )
        if response.status_code != 308:
            return Answer(0, response.json())
        return Answer(_stored(response.headers.get("Range", "")))

    def cancel(self, session: str) -> None:
        """End a session. The store answers 499 if it has done so.

        It is no error if the session is gone or complete, or if an emulator cannot cancel (501):
        https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload
        """
        self._call("cancel", "DELETE", session, fine=(200, 204, *GONE, 501), data=b"")

    # Objects

    def _path(self, key: str) -> str:
        return f"{self._bucket}/o/{quote(key, safe='')}"

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the fields of an object, or ``None`` if there is no such object.

        If the credentials may not list the bucket, the answer for a free key is 403.
        """
        response = self._call(
            "get", "GET", self._path(key), fine=(200, 403, 404), params={"fields": FIELDS}
        )
        return response.json() if response.status_code == 200 else None

    def patch(self, key: str, generation: str, resource: Mapping[str, Any]) -> None:
        """Change an object's metadata. It is no error if the object is gone or was replaced."""
        params = {"ifGenerationMatch": generation}
        self._call(
            "patch", "PATCH", self._path(key), fine=(200, 404, 412), params=params, json=resource
        )

    def delete(self, key: str, generation: str, metageneration: str | None = None) -> None:
        """Delete an object, if it still has this generation and ``metageneration``.

        It is no error if the object is gone, was replaced or has changed.
        """
        params = {"ifGenerationMatch": generation, "ifMetagenerationMatch": metageneration}
        self._call("delete", "DELETE", self._path(key), fine=(200, 204, 404, 412), params=params)

    def fetch(self, key: str, generation: str, start: int, end: int) -> bytes:
        """Return the bytes ``start`` to ``end`` (excluded) of an object."""
        response = self._call(
            "read",
            "GET",
            self._path(key),
            fine=(200, 206),
            params={"alt": "media", "generation": generation},
            # The ranges of a compressed answer would be different.
            headers={"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"},
        )
        content: bytes = response.content
        return content

    def page(self, prefix: str, token: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Return some of the objects below ``prefix``, and the token of the next page."""
        fields = f"nextPageToken,items({FIELDS})"
        params = {"prefix": prefix, "pageToken": token, "fields": fields}
        page = self._call("list", "GET", f"{self._bucket}/o", params=params).json()
        return page.get("items", []), page.get("nextPageToken")

    def permissions(self, wanted: Sequence[str]) -> set[str]:
        """Return those of the ``wanted`` permissions that the credentials have.

        The request itself needs no permission.
        """
        path = f"{self._bucket}/iam/testPermissions"
        answer = self._call("permissions", "GET", path, params={"permissions": list(wanted)})
        return set(answer.json().get("permissions", ()))


def _stored(range_: str) -> int:
    """Return how many bytes a session has, by the header ``Range`` of an answer 308.

    Without the header, it has none. The number is rounded down to a multiple of ``GRANULE``. That
    does no harm, because the store skips bytes that it has already. It is needed for an emulator
    that says ``bytes=0-0`` if there are none.
    """
    found = re.fullmatch(r"bytes=0-(\d+)", range_.strip())
    stored = int(found[1]) + 1 if found else 0
    return stored - stored % GRANULE
