"""The names of Google's SDK that this package uses. No other module imports the SDK.

If the SDK is missing, importing this module raises an error that says how to install it.
"""

from __future__ import annotations

from ...exceptions import InvalidSink

try:
    import google.auth.exceptions as auth
    import google_crc32c
    import requests
    import requests.adapters
    from google.cloud import storage
    from google.oauth2 import service_account
except ImportError as _exc:
    raise InvalidSink(
        f"GCSSink needs google-cloud-storage: pip install 'djust-uploads[gcs]' ({_exc})"
    ) from _exc

__all__ = ["auth", "google_crc32c", "requests", "service_account", "storage"]
