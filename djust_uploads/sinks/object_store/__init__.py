"""Uploads into a bucket of S3, Google or Azure by obstore. Importing this package needs no SDK.

The files import each other in this order: ``sink`` has the options and the sweep, ``writer`` one
file on its way, ``stream`` its multipart upload, ``file`` the stored object, ``bucket`` the
requests, and ``client`` what differs between the stores. ``errors`` translates what can go wrong.
"""
