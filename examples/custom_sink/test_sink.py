"""The vault's sink holds the contract, and writes nothing twice when an answer is lost."""

import asyncio
import contextlib
import threading

import pytest
from sink import PART, VaultSink
from vault import Vault

from djust_uploads import UploadInfo
from djust_uploads.exceptions import SinkUnavailable
from djust_uploads.testing import SinkContract


@pytest.fixture
def vault():
    with Vault() as vault:
        thread = threading.Thread(target=vault.serve_forever, args=(0.01,))
        thread.start()
        yield vault
        vault.shutdown()
        thread.join()


class TestVaultSink(SinkContract):
    part_size = PART
    resumable = True
    store_error = SinkUnavailable
    max_buffered = 2 * PART

    @pytest.fixture
    def sink(self, vault):
        self.vault = vault
        return VaultSink(vault.url)

    def leftovers(self, sink):
        return list(self.vault.blobs)

    @contextlib.contextmanager
    def failing_store(self, sink, status=503):
        self.vault.broken = status
        yield
        self.vault.broken = None

    def refusing_store(self, sink):
        return self.failing_store(sink, status=403)

    def damage_store(self, sink, by):
        for blob in self.vault.blobs.values():
            blob[:] = blob[:by] if by < 0 else blob + b"?"

    def store_something_else(self, sink):
        self.vault.blobs["a report"] = bytearray(b"stored by another program")

    def another_process(self, sink):
        return VaultSink(self.vault.url)


def test_a_part_whose_answer_was_lost_is_not_stored_twice(vault):
    async def upload():
        sink = VaultSink(vault.url)
        writer = await sink.open(UploadInfo("slot", "a.bin", "a.bin", "", "", 2 * PART))
        at = {"Offset": "0", "Lease": writer.lease}
        await sink.request("PATCH", writer.path, content=b"x" * 1000, headers=at)
        await writer.write(b"x" * PART)
        await writer.write(b"y" * PART)
        await writer.flush()
        await sink.aclose()
        return writer.key

    assert vault.blobs[asyncio.run(upload())] == b"x" * PART + b"y" * PART
