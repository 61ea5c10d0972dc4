"""What names and bytes are. Nothing here knows slots, entries or sinks.

``names`` cleans file names, ``accept`` parses the ``accept`` of a slot, ``sniffing`` finds the type
of bytes, and ``xml`` parses XML that may contain scripts.
"""
