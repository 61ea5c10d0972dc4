"""Uploads in a Django storage: any alias of ``STORAGES``.

The files import each other in this order: ``sink`` has the options and the sweep, ``writer`` one
file on its way, ``file`` the stored file, ``stored_object`` the calls for one file, and ``place``
the storage itself with its threads.
"""
