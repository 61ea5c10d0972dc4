"""Uploads into a Google Cloud Storage bucket by Google's SDK.

This package can be imported without the SDK. The files import each other in this order: ``sink``
has the options and the sweep, ``writer`` writes one file, ``file`` is the stored object, ``bucket``
has the threads and describes objects, ``api`` makes the requests, and ``client`` creates the SDK's
client. ``errors`` translates errors.
"""
