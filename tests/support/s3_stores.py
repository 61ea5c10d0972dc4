"""S3 stores to test against: moto in this process, SeaweedFS over TLS in one of its own."""

from __future__ import annotations

import contextlib
import datetime
import functools
import ipaddress
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.servers import free_port

KEYS = {"aws_access_key_id": "tester", "aws_secret_access_key": "only for tests"}


@dataclass
class Store:
    """A running store with an empty bucket ``media``."""

    name: str
    endpoint_url: str
    ca_bundle: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """For ``S3Sink`` and for boto3 alike."""
        return {"endpoint_url": self.endpoint_url, "region_name": "us-east-1", **KEYS}

    def client(self) -> Any:
        """The SDK's own, to look at what is in the store."""
        return self._client

    @functools.cached_property
    def _client(self) -> Any:
        return boto3.client(
            "s3",
            verify=self.ca_bundle,
            config=Config(s3={"addressing_style": "path"}),
            **self.options,
        )

    def object_keys(self) -> list[str]:
        listing = self.client().list_objects_v2(Bucket="media")
        return [stored["Key"] for stored in listing.get("Contents", ())]

    def read(self, key: str) -> bytes:
        content: bytes = self.client().get_object(Bucket="media", Key=key)["Body"].read()
        return content

    def put(self, key: str, content: bytes) -> None:
        self.client().put_object(Bucket="media", Key=key, Body=content)

    def head(self, key: str) -> dict[str, Any]:
        """Return what the store says of an object."""
        answer: dict[str, Any] = self.client().head_object(Bucket="media", Key=key)
        return answer

    def tags(self, key: str) -> dict[str, str]:
        answer = self.client().get_object_tagging(Bucket="media", Key=key)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def uploads(self) -> list[str]:
        """The keys of multipart uploads that nobody ended."""
        listing = self.client().list_multipart_uploads(Bucket="media")
        return [upload["Key"] for upload in listing.get("Uploads") or ()]


def empty(store: Store) -> None:
    client = store.client()
    for upload in client.list_multipart_uploads(Bucket="media").get("Uploads") or ():
        client.abort_multipart_upload(
            Bucket="media", Key=upload["Key"], UploadId=upload["UploadId"]
        )
    for key in store.object_keys():
        client.delete_object(Bucket="media", Key=key)


@contextlib.contextmanager
def moto() -> Iterator[Store]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    store = Store("moto", f"http://{host}:{port}")
    try:
        store.client().create_bucket(Bucket="media")
        yield store
    finally:
        store.client().close()
        server.stop()


@contextlib.contextmanager
def seaweedfs(directory: Path) -> Iterator[Store]:
    """``weed server -s3`` with a certificate of our own; SDKs find it by ``AWS_CA_BUNDLE``."""
    certificate, key = make_certificate(directory)
    (directory / "s3.json").write_text(json.dumps(_identities()))
    port = free_port()
    log = directory / "weed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                shutil.which("weed") or str(Path(sys.executable).with_name("weed")),
                *("server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                *(f"-dir={directory}", "-volume.max=100", "-master.volumeSizeLimitMB=256"),
                *(f"-{part}.port={free_port()}" for part in ("master", "volume", "filer")),
                *(f"-{part}.port.grpc={free_port()}" for part in _WITH_GRPC),
                *(f"-s3.port={port}", "-s3.autoCreateBucket=false", "-s3.iam=false"),
                # Catalogues on fixed ports, so that there could be only one.
                *("-s3.port.iceberg=0", "-s3.port.lance=0"),
                *(f"-s3.cert.file={certificate}", f"-s3.key.file={key}"),
                f"-s3.config={directory / 's3.json'}",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    store = Store("seaweedfs", f"https://127.0.0.1:{port}", str(certificate))
    before = os.environ.get("AWS_CA_BUNDLE")
    os.environ["AWS_CA_BUNDLE"] = str(certificate)
    try:
        _wait_for_bucket(store, process, log)
        yield store
    finally:
        store.client().close()
        if before is None:
            del os.environ["AWS_CA_BUNDLE"]
        # It takes ten seconds to say goodbye to itself, and there is nothing to save.
        process.kill()
        process.wait()


_WITH_GRPC = ("master", "volume", "filer", "s3")


def _identities() -> dict[str, Any]:
    def identity(name: str, access: str, secret: str, actions: list[str]) -> dict[str, Any]:
        credentials = [{"accessKey": access, "secretKey": secret}]
        return {"name": name, "credentials": credentials, "actions": actions}

    return {
        "identities": [
            identity("tester", *KEYS.values(), ["Admin", "Read", "Write", "List", "Tagging"]),
            identity("reader", "reader", "may only read", ["Read", "List"]),
            identity("archivist", "archivist", "its own only", ["Read:archive", "Write:archive"]),
        ]
    }


_ATTEMPTS = 50


def _wait_for_bucket(store: Store, process: subprocess.Popen[bytes], log: Path) -> None:
    port = int(store.endpoint_url.rpartition(":")[2])
    error: Exception | None = None
    for _ in range(150):
        if process.poll() is not None:
            raise RuntimeError(f"SeaweedFS ended: {log.read_text()[-3000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            make_bucket(store, "media")
            return
        except Exception as exc:
            error = exc
            time.sleep(0.2)
    raise RuntimeError(f"SeaweedFS is not up ({error}): {log.read_text()[-3000:]}")


def make_bucket(store: Store, name: str) -> None:
    """Make a bucket, and return when it takes objects.

    SeaweedFS makes a bucket's volumes at the first write. The write fails if that takes long.
    """
    client = store.client()
    try:
        client.create_bucket(Bucket=name)
    except client.exceptions.ClientError as exc:
        if "BucketAlready" not in str(exc):
            raise
    for attempt in range(_ATTEMPTS):
        try:
            client.put_object(Bucket=name, Key="ready", Body=b"1")
            break
        except client.exceptions.ClientError:
            if attempt + 1 == _ATTEMPTS:
                raise
            time.sleep(0.2)
    client.delete_object(Bucket=name, Key="ready")


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, good for a day, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = directory / "certificate.pem", directory / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_path, key_path
