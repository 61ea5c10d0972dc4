from django.conf import settings
from django.template.defaultfilters import filesizeformat

from djust_uploads import UploadConsumer, UploadEndpoint, UploadMixin, event_handler
from djust_uploads.validators import ClamAVValidator

#: clamd.conf has the same number as ``StreamMaxLength``.
MAX_FILE_SIZE = 100 * 1024 * 1024


class Files(UploadMixin):
    """The slot ``files`` of both doors: files of any type, which clamd scans."""

    def mount(self):
        self.allow_upload(
            "files",
            max_entries=10,
            max_file_size=MAX_FILE_SIZE,
            resumable=True,
            validators=[ClamAVValidator(settings.CLAMD, max_size=MAX_FILE_SIZE)],
        )


async def store(entry):
    """Move a file into the media directory, and return what the client is told of it."""
    path = await entry.asave(f"files/{entry.client_name}")
    return {
        "name": entry.client_name,
        "type": entry.content_type,
        "size": filesizeformat(entry.client_size),
        "sha256": entry.sha256,
        "path": path,
    }


class FilesConsumer(Files, UploadConsumer):
    @event_handler
    async def store(self, **params):
        async for entry in self.consume_uploaded_entries("files"):
            self.push_event("file", await store(entry))


class FilesEndpoint(Files, UploadEndpoint):
    async def uploaded(self, entry):
        return [await store(complete) async for complete in self.consume_uploaded_entries("files")]
