"""The public import path of ``UploadConsumer``. The code is in ``doors/channels.py``."""

from .doors.channels import UploadConsumer

__all__ = ["UploadConsumer"]
