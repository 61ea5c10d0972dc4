"""What happens to an upload from its start to its end, and who hears of it.

``observer.py`` has the interface, ``moves.py`` ends entries, and ``notifying.py`` tells the
observers. ``logs.py`` and ``sending.py`` are the two observers that are always there: they write
the log and send Django's signals. Others are in ``DJUST_UPLOADS["OBSERVERS"]``.
"""
