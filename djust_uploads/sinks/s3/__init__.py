"""Uploads into an S3 bucket by the AWS SDK. Importing this package needs no SDK.

The files import each other in this order: ``sink`` has the options and the sweep, ``writer`` one
file on its way, ``file`` the stored object, ``bucket`` the requests, and ``clients`` the SDK's
clients. ``checksums``, ``copying`` and ``errors`` are for one question each. ``rules`` says what S3
asks, whichever library speaks to it.
"""
