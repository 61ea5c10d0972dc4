from django.core.files.storage import default_storage
from djust import LiveView
from djust.decorators import event_handler

from djust_uploads import UploadMixin

SINKS = [
    {"alias": "default", "label": "Temporary file"},
    {"alias": "memory", "label": "Memory"},
]


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
        self.sinks = SINKS
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
        if alias in [sink["alias"] for sink in SINKS]:
            self.allow_photos(alias)

    @event_handler()
    def upload_photos(self, **kwargs):
        for entry in self.consume_uploaded_entries("photos"):
            path = default_storage.save(f"gallery/{entry.client_name}", entry.file)
            self.images.append(
                {
                    "url": default_storage.url(path),
                    "name": entry.client_name,
                    "where": f"{type(entry.file).__name__}, saved as {path}",
                }
            )


class FilesView(UploadMixin, LiveView):
    """Any file, up to 2 GB: what the slots of the other pages would refuse."""

    login_required = False
    template_name = "files.html"

    def mount(self, request, **kwargs):
        self.files = []
        self.allow_upload("files", max_entries=10, max_file_size=2_000_000_000)

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
