"""The door for HTTP: resumable uploads by tus 1.0 and by the IETF's draft, and plain POST and PUT.

``endpoint`` is the ASGI application. It reads a ``request``, lets ``tus``, ``draft`` or ``plain``
say what the request asks for (``intents``), and lets ``exchange`` do it with the core's manager.
The same protocol module says how the outcome is answered (``response``). ``origins`` keeps foreign
pages out, and ``digests`` compares checksums. ``uvicorn`` adds interim responses to that server.
"""
