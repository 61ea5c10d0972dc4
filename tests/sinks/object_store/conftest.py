"""What is particular to ObjectStoreSink."""

from tests.support.buckets import no_pauses  # noqa: F401 (a fixture)
