"""All uploads of one connection.

``manager`` is what a door talks to. ``roster`` knows the slots and entries. ``admission`` answers
registrations, and ``resumption`` answers clients that go on with an interrupted upload.
``consuming`` tracks what the application consumes, and ``disposal`` says what becomes of the files.
``connection`` reaches the client and starts tasks. ``process`` holds what all connections share.
"""
