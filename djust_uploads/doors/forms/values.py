"""``FormFile``: a file in ``form.cleaned_data``."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.files import File
from django.core.files.storage import Storage
from django.db.models.fields.files import ImageFieldFile

from ...files import LocalFile, SinkFile
from .holding import Saved

if TYPE_CHECKING:
    from ...slots.entry import UploadEntry
    from .holding import Held


class FormFile(ImageFieldFile):
    """A complete upload: the value of an :class:`~djust_uploads.forms.UploadField`.

    It is a Django ``File``, and can be assigned to a ``FileField`` or an ``ImageField``. When the
    model is saved, the file gets into the field's storage in the cheapest way that its sink and the
    storage allow: it stays where it is, if the storage is that of the sink. Else a file on the same
    disk is linked, an object in the same cloud service is copied by the service, and any other file
    is streamed.

    ``entry`` is the :class:`~djust_uploads.UploadEntry`, and ``file`` its
    :class:`~djust_uploads.SinkFile`. A form without a model saves the file with :meth:`save`.
    """

    # The class has a FieldFile's methods. Its ``field``, ``instance`` and ``storage`` are set by
    # Django when it is assigned to a model's field.

    def __init__(self, held: Held) -> None:
        File.__init__(self, held.entry.file, held.entry.client_name)
        self._held = held
        self._committed = False
        #: What :class:`~djust_uploads.forms.UploadImageField` found, as with Django's ImageField.
        self.image: Any = None

    def __getattr__(self, name: str) -> Any:
        # A storage renames a file that has this method.
        if name == "temporary_file_path":
            return getattr(self._file, name)
        raise AttributeError(name)

    def __repr__(self) -> str:
        return f"<FormFile: {self.name}>"

    @property
    def entry(self) -> UploadEntry:
        """The upload."""
        return self._held.entry

    @property
    def receipt(self) -> str:
        """The receipt, by which the form finds the upload again if it is shown again."""
        return self._held.receipt

    @property
    def content_type(self) -> str:
        """The MIME type that the content was found to have."""
        return self.entry.content_type

    @property
    def client_name(self) -> str:
        """The name that the file has on the user's machine."""
        return self.entry.client_name

    @property
    def url(self) -> str:
        """The URL from which a browser can fetch the file, if its sink has URLs."""
        try:
            return self.entry.file.url
        except ValueError as exc:
            # Code that looks whether a file has a URL asks with hasattr().
            raise AttributeError(str(exc)) from None

    def show(self) -> None:
        """Note that the page shows the upload as one that waits for the form to be sent again."""
        self._held.shown = True

    def remove(self) -> None:
        """Let the upload be deleted when the view has returned."""
        self._held.removed = True

    def postpone(self) -> None:
        """Let the upload wait for another request that has its receipt."""
        self.entry.postpone()

    def save(  # type: ignore[override]
        self, name: str | None = None, content: Any = None, save: bool = True
    ) -> str | None:
        """Save the file to the model's field, as ``FieldFile.save()`` does.

        Without a model, save it to ``default_storage`` as ``name`` and return the name that it got.
        """
        if not hasattr(self, "field"):
            return self.entry.save(name)
        name = self.field.generate_filename(self.instance, name or str(self.name))
        stored, in_place = self._stored(self.storage, name)
        self.name: str | None = stored
        self._held.saved(Saved(self.storage, stored, in_place=in_place, instance=self.instance))
        setattr(self.instance, self.field.attname, stored)
        self._committed = True
        if save:
            self.instance.save()
        return None

    def _stored(self, storage: Storage, name: str) -> tuple[str, bool]:
        """Return the name that the file has in the storage, and whether it was there already."""
        file, most = self.entry.file, self.field.max_length
        own = file.name_in(storage)
        if own and len(own) <= (most or len(own)):
            return own, True
        free = storage.get_available_name(name, max_length=most)
        copied = file.copy_to(storage, free)
        if copied is None:
            copied = _saved_beside(file, storage, name, most)
        return copied, False


def _saved_beside(file: SinkFile, storage: Storage, name: str, most: int | None) -> str:
    """Save a file to a storage, and leave the sink's file where it is.

    If the transaction is rolled back, the upload must still be there.
    """
    with contextlib.ExitStack() as stack:
        content: File[Any] = _Streamed(file)
        if isinstance(file, LocalFile):
            content = stack.enter_context(_link_to(file)) or content
        saved: str = storage.save(name, content, max_length=most)
    return saved


@contextlib.contextmanager
def _link_to(file: LocalFile) -> Any:
    """Yield a second name of the file, which a storage may rename, or ``None`` without links."""
    path = file.temporary_file_path()
    link = f"{path}.{secrets.token_hex(8)}"
    try:
        os.link(path, link)
    except OSError:
        # The file system has no hard links.
        yield None
        return
    content = LocalFile(link, file.name or "", file.size, content_type=file.content_type)
    try:
        yield content
    finally:
        content.close()
        Path(link).unlink(missing_ok=True)


class _Streamed(File):  # type: ignore[type-arg]
    """A file without ``temporary_file_path()``, so that a storage reads it and does not move it."""

    def __init__(self, file: SinkFile) -> None:
        file.open()
        super().__init__(file, file.name)
        self.content_type = file.content_type
        self.size = file.size
