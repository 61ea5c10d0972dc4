"""The public import path of ``LiveViewConsumer``. The code is in ``doors/liveview.py``.

Importing it needs djust: ``pip install 'djust-uploads[djust]'``.
"""

from .doors.liveview import LiveViewConsumer

__all__ = ["LiveViewConsumer"]
