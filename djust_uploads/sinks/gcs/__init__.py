"""Uploads into a Google Cloud Storage bucket by Google's SDK. Importing this package needs no SDK.

The files import each other in this order: ``sink`` has the options and the sweep, ``writer`` one
file on its way, ``file`` the stored object, ``bucket`` its threads and what is said of objects,
``api`` the requests, and ``client`` the SDK's client. ``errors`` translates what can go wrong.
"""
