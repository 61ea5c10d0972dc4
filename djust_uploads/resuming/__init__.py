"""Who goes on with an interrupted upload.

``owners`` names an upload's owner. ``leases`` decides which process has the upload, with the help
of the cache ``RESUME_CACHE``. ``saved`` is the record there, and ``checkpoints`` keeps it up to
date while the upload is on its way. ``parking`` holds uploads whose connection is gone, for a
connection of the same process that comes back.
"""
