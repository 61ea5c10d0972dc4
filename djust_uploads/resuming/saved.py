"""What is saved of an upload, so that another process can go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self


@dataclass(frozen=True)
class SavedUpload:
    """The record of one upload in the resume cache. Every value is JSON."""

    ref: str
    upload_name: str
    client_name: str
    client_relative_path: str
    client_type: str
    client_size: int
    content_type: str
    chunk_size: int
    #: The ``UploadInfo.key`` that the first process gave the upload.
    key: str
    #: The alias or the class of the sink. Another process must use the same sink.
    sink: str
    #: What the writer's ``checkpoint()`` returned.
    checkpoint: dict[str, Any] = field(default_factory=dict)
    #: How often another process has taken the upload over.
    generation: int = 0
    #: ``"registered"`` before the sink was opened, then ``"uploading"``, ``"complete"``,
    #: ``"consumed"`` or ``"error"``.
    status: str = "uploading"
    #: The code and the sentence of the error, if the status is ``"error"``.
    code: str = ""
    error: str = ""
    #: What the client tells of the file beside its name and type.
    client_metadata: dict[str, str] = field(default_factory=dict)
    #: The SHA-256 that the file must have, in hexadecimal digits, or ``""``.
    expected_sha256: str = ""
    #: The SHA-256 that the complete file has, or ``""`` if it was not computed.
    sha256: str = ""
    #: What a door keeps with the upload, for requests that other processes handle.
    notes: dict[str, Any] = field(default_factory=dict)

    #: When it was saved, in seconds since the epoch. What is saved again without a change is equal.
    saved_at: float = field(default=0.0, compare=False)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Return what a record of the cache says.

        While a new release is rolled out, processes of both releases share the cache. The older
        ones leave out what they do not know.
        """
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in record.items() if name in known})

    @property
    def has_begun(self) -> bool:
        """Whether a sink was opened for the upload."""
        return self.status != "registered"
