from django.core.files.storage import default_storage
from djust import LiveView
from djust.decorators import event_handler

from djust_uploads import UploadMixin
from djust_uploads.conf import sinks

LABELS = {
    "default": "Temporary file",
    "memory": "Memory",
    "s3": "S3",
    "gcs": "Google Cloud Storage",
}


def store(entry):
    """Keep a picture, and return its URL and a text that says where it is.

    Cloud sinks keep the files that were consumed. Files of other sinks are moved to the default
    storage.
    """
    if entry.keeps_file:
        return entry.file.url, f"{entry.file.metadata['key']} in the bucket"
    path = entry.save(f"gallery/{entry.client_name}")
    return default_storage.url(path), f"{path} in the default storage"


class ProfileView(UploadMixin, LiveView):
    login_required = False
    template_name = "profile.html"

    def mount(self, request, **kwargs):
        self.avatar_url = ""
        self.allow_upload(
            "avatar",
            accept=".jpg,.png,.webp",
            max_entries=1,
            max_file_size=5_000_000,  # 5MB
            auto_upload=False,
        )

    @event_handler()
    def save_avatar(self, **kwargs):
        for entry in self.consume_uploaded_entries("avatar"):
            path = default_storage.save(f"avatars/{entry.client_name}", entry.file)
            self.avatar_url = default_storage.url(path)


class GalleryView(UploadMixin, LiveView):
    login_required = False
    template_name = "gallery.html"

    def mount(self, request, **kwargs):
        self.images = []
        self.sinks = [{"alias": alias, "label": LABELS[alias]} for alias in sinks]
        self.allow_photos("default")

    def allow_photos(self, sink):
        self.sink = sink
        self.allow_upload(
            "photos",
            accept=".jpg,.png,.webp,.gif",
            max_entries=5,
            max_file_size=10_000_000,
            sink=sink,
        )

    @event_handler()
    def pick_sink(self, alias: str = "", **kwargs):
        if alias in sinks:
            self.allow_photos(alias)

    @event_handler()
    def upload_photos(self, **kwargs):
        for entry in self.consume_uploaded_entries("photos"):
            url, where = store(entry)
            self.images.append({"url": url, "name": entry.client_name, "where": where})


class FilesView(UploadMixin, LiveView):
    """Takes files of any type, up to 2 GB.

    Uploads go on after a lost connection, a reload of the page and a restart of the server.
    """

    login_required = False
    template_name = "files.html"

    def mount(self, request, **kwargs):
        self.files = []
        self.allow_upload("files", max_entries=10, max_file_size=2_000_000_000, resumable=True)

    @event_handler()
    async def store(self, **kwargs):
        async for entry in self.consume_uploaded_entries("files"):
            path = await entry.asave(f"files/{entry.client_name}")
            self.files.append(
                {
                    "name": entry.client_name,
                    "type": entry.content_type,
                    "size": entry.client_size,
                    "sha256": entry.sha256,
                    "path": path,
                }
            )
