"""The door for Django forms: a field whose files arrive ahead of the POST, or with it.

``fields`` has the form fields, and ``widgets`` what they show. A field's value is a ``FormFile``
(``values``). Behind it is an upload that the form holds (``holding``): one that a receipt names, or
one that came with the POST and was stored by ``intake``. ``requests`` has the middleware: it knows
whose request it is, and settles what becomes of the uploads when the view has returned. ``names``
finds the field of a slot, for the ``endpoint`` that takes the files of all forms. ``handler`` keeps
files that come with the POST within the limits of their fields. ``admin`` is for Django's admin.
"""
