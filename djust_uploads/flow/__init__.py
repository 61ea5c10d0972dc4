"""How fast uploads go, and how much memory they use.

``window`` decides how far one client may be ahead of its sink, and ``budget`` what all uploads of a
process may hold together. ``deadline`` is a cheap timeout, and ``threads`` runs blocking calls.
"""
