"""CRC32C (RFC 3720, appendix B.4), which finds damaged bytes and proves nothing.

It needs ``pip install 'djust-uploads[crc32c]'``.
"""

from __future__ import annotations


def has_crc32c() -> bool:
    """Return whether ``google-crc32c`` is installed."""
    try:
        import google_crc32c  # noqa: F401
    except ImportError:
        return False
    return True


def crc32c(data: bytes | memoryview) -> int:
    """Return the CRC32C of some bytes. Raises ``ImportError`` without ``google-crc32c``."""
    import google_crc32c

    # The library takes no views.
    value: int = google_crc32c.value(bytes(data))
    return value
