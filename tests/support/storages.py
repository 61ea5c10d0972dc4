"""Django storages as people write them."""

from __future__ import annotations

import io
import threading

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage


class DictStorage(Storage):
    """The least that Django asks for: ``open()`` hands out a copy, whatever the mode, so what is
    written to it goes nowhere."""

    def __init__(self):
        self.blobs: dict[str, bytes] = {}
        self.down = False
        self.threads: set[str] = set()

    def reach(self):
        self.threads.add(threading.current_thread().name)
        if self.down:
            raise RuntimeError("503 Slow Down")

    def _open(self, name, mode="rb"):
        self.reach()
        if name not in self.blobs:
            raise FileNotFoundError(name)
        return ContentFile(self.blobs[name])

    def _save(self, name, content):
        self.reach()
        self.blobs[name] = b"".join(content.chunks())
        return name

    def delete(self, name):
        self.reach()
        del self.blobs[name]

    def exists(self, name):
        self.reach()
        return name in self.blobs

    def size(self, name):
        return len(self.blobs[name])

    def listdir(self, path):
        self.reach()
        names = [name.removeprefix(f"{path}/") for name in self.blobs if name.startswith(path)]
        return [], names

    def names(self):
        return list(self.blobs)


class ReadOnlyOpenStorage(DictStorage):
    """``open()`` refuses to write, and there is neither a size nor a list."""

    def _open(self, name, mode="rb"):
        if mode != "rb":
            raise NotImplementedError(f"no mode {mode!r}")
        return super()._open(name, mode)

    def size(self, name):
        raise NotImplementedError

    def listdir(self, path):
        raise NotImplementedError


class RemoteStorage(DictStorage):
    """As those of django-storages: what is written by ``open()`` is sent when the file is closed,
    a name that exists counts as available, and there are no paths."""

    def get_available_name(self, name, max_length=None):
        return name

    def _open(self, name, mode="rb"):
        return _RemoteFile(self, name) if mode == "wb" else super()._open(name)


class _RemoteFile(File):
    def __init__(self, storage, name):
        super().__init__(io.BytesIO(), name)
        self.storage = storage

    def close(self):
        if not self.closed:
            self.storage.reach()
            self.storage.blobs[self.name] = self.file.getvalue()
            super().close()


class RenamingStorage(FileSystemStorage):
    """Puts every file where it likes."""

    def _save(self, name, content):
        return super()._save(f"shards/{len(name) % 10}/{name}", content)
