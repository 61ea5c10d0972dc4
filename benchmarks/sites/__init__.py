"""The applications that are measured, each in a server process of its own."""

KIB = 1024
MIB = 1024 * 1024

#: Bytes of a file in one frame. Daphne takes messages of 1 MiB at most, header included.
CHUNK_SIZES = (64 * KIB, 256 * KIB, MIB - 21)

MAX_FILE_SIZE = 100_000_000_000
