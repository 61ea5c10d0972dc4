"""One upload's bytes, on their way from the connection into the sink's writer.

``transfer`` has the one task of an upload. ``client_side`` is what arrives and how much more may,
``sink_side`` the writer and the checkpoints, and ``endings`` how an upload fails or is suspended.
``reports`` tells the client, and ``hashing`` computes SHA-256 on the way.
"""
