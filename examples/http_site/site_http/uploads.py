from djust_uploads import UploadEndpoint, UploadMixin


class PhotoUploads(UploadMixin, UploadEndpoint):
    def mount(self):
        self.allow_upload(
            "photos",
            accept=".jpg,.png,.webp,.gif",
            max_entries=20,
            max_file_size=100_000_000,
        )
