"""Where uploads go. Name one by its path in ``DJUST_UPLOADS["SINKS"]``, or pass an instance."""

from .base import Sink, SinkWriter, UploadInfo
from .memory import MemorySink
from .storage import StorageSink
from .temporary_file import TemporaryFileSink

__all__ = ["MemorySink", "Sink", "SinkWriter", "StorageSink", "TemporaryFileSink", "UploadInfo"]
