"""What an application declares and accepts, in names and numbers. Nothing here does I/O.

``slot`` holds the options of one ``allow_upload()``, ``entry`` one file and its numbers, ``status``
the states of an upload. ``acceptance`` decides which files a slot takes, and ``validators`` is the
base class of an application's own checks.
"""
