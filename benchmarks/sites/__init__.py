"""The applications that are measured. Each runs in a server process of its own."""

KIB = 1024
MIB = 1024 * 1024

#: Bytes of a file in one frame. daphne takes messages of at most 1 MiB, including the header.
CHUNK_SIZES = (64 * KIB, 256 * KIB, MIB - 21)

MAX_FILE_SIZE = 100_000_000_000
