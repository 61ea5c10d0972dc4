"""Uploads into an S3 bucket by the AWS SDK. This package can be imported without the SDK.

The files import each other in this order: ``sink`` has the options and the sweep, ``writer`` writes
one file, ``file`` is the stored object, ``bucket`` makes the requests, and ``clients`` creates the
SDK's clients. ``checksums`` computes and compares checksums, ``copying`` copies objects within S3,
and ``errors`` translates errors. ``rules`` has S3's limits and error codes, for every library that
speaks to S3.
"""
