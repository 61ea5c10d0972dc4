"""What is particular to S3Sink."""

from tests.support.buckets import no_pauses  # noqa: F401 (a fixture)
