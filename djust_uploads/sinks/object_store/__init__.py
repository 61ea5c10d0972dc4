"""Uploads into a bucket of S3, Google or Azure by obstore.

This package can be imported without obstore. The files import each other in this order: ``sink``
has the options and the sweep, ``writer`` writes one file, ``stream`` feeds its multipart upload,
``file`` is the stored object, ``bucket`` makes the requests, and ``client`` knows the differences
between the providers. ``errors`` translates errors.
"""
