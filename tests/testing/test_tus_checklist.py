"""The checklist of tus 1.0 on our endpoint, on another author's server, and on servers that break
one rule at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from djust_uploads.testing.tus import Check, Level, TusServer, checks
from tests.support import endpoints, npm
from tests.support.servers import ROOT

CHECKS = {str(check): check for check in checks()}


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> Iterator[str]:
    """The URL of our endpoint."""
    with endpoints.ours(tmp_path_factory.mktemp("tus")) as endpoint:
        yield endpoint.url


@pytest.fixture(scope="module")
def server(ours: str) -> Iterator[TusServer]:
    with TusServer(ours) as server:
        yield server


@pytest.mark.parametrize("check", CHECKS.values(), ids=str)
def test_our_endpoint(server: TusServer, check: Check):
    outcome = check.run(server)
    assert outcome.verdict != "failed", outcome.reason
    if outcome.verdict == "skipped":
        assert "announce" in outcome.reason or "--patience" in outcome.reason


@pytest.mark.parametrize("name", ["hypercorn", "daphne"])
def test_our_endpoint_on_another_server(tmp_path: Path, name: str):
    with endpoints.ours(tmp_path, name) as endpoint, TusServer(endpoint.url) as server:
        outcomes = [check.run(server) for check in checks(["core", "creation-with-upload"])]
    failed = {str(o.check): o.reason for o in outcomes if o.verdict == "failed"}
    # daphne reads a body whole before the application sees any of it.
    lost = {"core-interrupted_patch_is_kept"} if name == "daphne" else set()
    assert failed.keys() == lost, failed


def test_our_endpoint_tells_that_an_upload_has_expired(tmp_path: Path):
    with (
        endpoints.ours(tmp_path, RESUME_TTL=1) as endpoint,
        TusServer(endpoint.url, patience=6) as server,
    ):
        outcome = CHECKS["expiration-expired_upload"].run(server)
    assert outcome.verdict == "passed", outcome.reason


#: What @tus/server 2.4.5 does not do.
OTHERS_FAULTS = {
    "core-unsupported_version",
    "core-patch_without_an_offset_is_a_bad_request",
    "core-patch_of_another_type",
    "core-method_override",
    "core-method_override_of_a_creation",
    "creation-metadata_comes_back",
    "creation-metadata_smuggles_no_header",
    "creation-with-upload-creation_with_another_type",
}


@pytest.mark.skipif(not npm.modules(), reason="npm's packages are not to be had here")
def test_another_author_s_server(tmp_path: Path):
    with endpoints.another_author_s(tmp_path) as endpoint, TusServer(endpoint.url) as server:
        # On Node 20, a connection that breaks in the middle can end the process of this server.
        stable = [check for name, check in CHECKS.items() if "interrupted" not in name]
        outcomes = [check.run(server) for check in stable]
    assert {str(o.check) for o in outcomes if o.verdict == "failed"} == OTHERS_FAULTS


# What breaks a rule

Break = Callable[[httpx.Request, httpx.Response], httpx.Response | None]


class Breaking(httpx.BaseTransport):
    """A server that is right, but for one thing."""

    def __init__(
        self, fault: Break | None = None, reads: Callable[[httpx.Headers], None] = lambda _: None
    ) -> None:
        self._transport = httpx.HTTPTransport()
        self._fault = fault
        self._reads = reads

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._reads(request.headers)
        response = self._transport.handle_request(request)
        if self._fault:
            response.read()
            response = self._fault(request, response) or response
        return response


def without(name: str, method: str = "") -> Break:
    def fault(request, response):
        if request.method == (method or request.method):
            response.headers.pop(name, None)

    return fault


def with_header(name: str, value: str, method: str = "") -> Break:
    def fault(request, response):
        if request.method == (method or request.method) and name in response.headers:
            response.headers[name] = value

    return fault


def with_status(status: int, other: int, method: str = "") -> Break:
    def fault(request, response):
        if response.status_code == status and request.method == (method or request.method):
            response.status_code = other

    return fault


def not_at_all(name: str) -> Callable[[httpx.Headers], None]:
    return lambda headers: headers.pop(name, None)


def backwards(headers: httpx.Headers) -> None:
    """Read the parts of a concatenation in the wrong order."""
    final, _, urls = headers.get("Upload-Concat", "").partition(";")
    if urls:
        headers["Upload-Concat"] = f"{final};{' '.join(reversed(urls.split(' ')))}"


def every_creation_succeeds(request, response):
    if request.method == "POST":
        response.status_code = 201


def refusals_succeed(request, response):
    if response.status_code in (400, 413, 422):
        response.status_code = 204


FAULTS: dict[str, tuple[Breaking, list[str]]] = {
    "OPTIONS fails": (
        Breaking(with_status(204, 500, "OPTIONS")),
        ["core-options_succeeds", "core-options_ignores_the_version"],
    ),
    "no versions": (
        Breaking(without("Tus-Version")),
        ["core-options_succeeds", "core-unsupported_version"],
    ),
    "an empty extension": (
        Breaking(with_header("Tus-Extension", "creation,,")),
        ["core-options_lists_extensions"],
    ),
    "a maximum in words": (
        Breaking(with_header("Tus-Max-Size", "2 GB")),
        ["core-options_has_a_whole_maximum"],
    ),
    "answers without a version": (
        Breaking(without("Tus-Resumable")),
        ["core-version_in_answers", "core-version_in_refusals"],
    ),
    "any version": (Breaking(with_status(412, 204)), ["core-unsupported_version"]),
    "HEAD without the offset": (
        Breaking(without("Upload-Offset", "HEAD")),
        ["core-head_tells_the_offset", "core-interrupted_patch_is_kept"],
    ),
    "HEAD without the length": (
        Breaking(without("Upload-Length", "HEAD")),
        ["core-head_tells_the_offset", "creation-empty_upload"],
    ),
    "HEAD that is cached": (Breaking(without("Cache-Control")), ["core-head_is_not_cached"]),
    "unknown uploads exist": (
        Breaking(with_status(404, 204)),
        [
            "core-head_of_an_unknown_upload",
            "core-patch_of_an_unknown_upload",
            "termination-unknown_upload",
            "termination-requests_after_the_end",
        ],
    ),
    "PATCH with 200": (
        Breaking(with_status(204, 200, "PATCH")),
        ["core-patch_tells_the_new_offset", "checksum-right_checksums"],
    ),
    "PATCH without the offset": (
        Breaking(without("Upload-Offset", "PATCH")),
        [
            "core-patch_tells_the_new_offset",
            "core-patch_without_bytes",
            "core-patch_in_chunks",
            "core-interrupted_patch_is_resumed",
        ],
    ),
    "conflicts succeed": (Breaking(with_status(409, 204)), ["core-patch_at_another_offset"]),
    "bad requests succeed": (
        Breaking(refusals_succeed),
        [
            "core-patch_without_an_offset",
            "core-patch_without_an_offset_is_a_bad_request",
            "core-patch_beyond_the_end",
            "core-patch_of_a_complete_upload",
            "creation-creation_without_length",
            "creation-creation_with_a_wrong_length",
            "creation-creation_with_a_wrong_length_is_a_bad_request",
            "creation-metadata_that_breaks_the_grammar",
            "creation-with-upload-creation_with_too_much",
            "checksum-unknown_algorithm",
            "checksum-malformed_checksum",
        ],
    ),
    "any type": (
        Breaking(with_status(415, 204)),
        ["core-patch_of_another_type", "creation-with-upload-creation_with_another_type"],
    ),
    "no method override": (
        Breaking(reads=not_at_all("X-HTTP-Method-Override")),
        ["core-method_override", "core-method_override_of_a_creation"],
    ),
    "no GET": (Breaking(with_status(200, 405, "GET")), ["core-get_returns_the_bytes"]),
    "no Location": (
        Breaking(without("Location")),
        ["creation-creation_tells_the_location", "creation-with-upload-creation_with_a_part"],
    ),
    "any size": (
        Breaking(with_status(413, 201)),
        ["creation-creation_above_the_maximum"],
    ),
    "lengths of any size": (
        Breaking(with_status(400, 500, "POST")),
        ["creation-creation_with_an_absurd_length"],
    ),
    "deferred lengths, unannounced": (
        Breaking(with_status(411, 201)),
        ["creation-deferred_length_that_is_not_announced"],
    ),
    "no metadata": (Breaking(without("Upload-Metadata")), ["creation-metadata_comes_back"]),
    "creation with upload keeps nothing": (
        Breaking(with_header("Upload-Offset", "0", "POST")),
        [
            "creation-with-upload-creation_with_a_part",
            "creation-with-upload-creation_with_everything",
        ],
    ),
    "creation with upload alone": (
        Breaking(with_header("Tus-Extension", "creation-with-upload")),
        ["creation-with-upload-announced_with_creation"],
    ),
    "no expiry": (
        Breaking(without("Upload-Expires")),
        ["expiration-patch_tells_the_expiry"],
    ),
    "an expiry of another form": (
        Breaking(with_header("Upload-Expires", "2999-01-01T00:00:00Z")),
        ["expiration-patch_tells_the_expiry", "expiration-creation_tells_the_expiry"],
    ),
    "an expiry in the past": (
        Breaking(with_header("Upload-Expires", "Wed, 25 Jun 2014 16:00:00 GMT")),
        ["expiration-patch_tells_the_expiry", "expiration-expired_upload"],
    ),
    "no SHA-1": (
        Breaking(with_header("Tus-Checksum-Algorithm", "md5")),
        ["checksum-sha1_is_announced"],
    ),
    "checksums are not compared": (
        Breaking(reads=not_at_all("Upload-Checksum")),
        [
            "checksum-wrong_checksums",
            "checksum-wrong_checksums_are_mismatches",
            "checksum-unknown_algorithm",
            "checksum-malformed_checksum",
            "checksum-checksum_of_a_creation",
        ],
    ),
    "nothing is deleted": (
        Breaking(with_status(204, 403, "DELETE")),
        ["termination-unfinished_upload", "termination-complete_upload"],
    ),
    "HEAD without Upload-Concat": (
        Breaking(without("Upload-Concat", "HEAD")),
        ["concatenation-partial_upload", "concatenation-final_upload"],
    ),
    "parts backwards": (Breaking(reads=backwards), ["concatenation-order_of_the_list"]),
    "final uploads can be changed": (
        Breaking(with_status(403, 204)),
        ["concatenation-patch_of_a_final_upload"],
    ),
    "final uploads have the metadata of parts": (
        Breaking(with_header("Upload-Metadata", "part MQ==", "HEAD")),
        ["concatenation-metadata_of_parts"],
    ),
    "anything is created": (
        Breaking(every_creation_succeeds),
        [
            "concatenation-unfinished_parts",
            "concatenation-what_is_no_part",
            "concatenation-another_value",
        ],
    ),
    "line breaks become headers": (
        Breaking(lambda request, response: response.headers.update({"X-Smuggled": "1"})),
        ["creation-metadata_smuggles_no_header"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_server_fails(ours: str, fault: str):
    transport, broken = FAULTS[fault]
    with httpx.Client(transport=transport) as client:
        for name in broken:
            outcome = CHECKS[name].run(TusServer(ours, client=client))
            assert outcome.verdict == "failed", name
            assert outcome.reason


def test_every_check_fails_on_some_broken_server(server: TusServer):
    announced = server.extensions | {"core"}
    broken = {name for _, names in FAULTS.values() for name in names}
    assert broken == {name for name, check in CHECKS.items() if check.section in announced}


# The command


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "djust_uploads.testing.tus", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_command_prints_what_came_of_each_check(ours: str):
    done = run(ours, "--only", "termination", "--only", "concatenation", "--header", "X-A: b")
    assert done.returncode == 0, done.stderr
    assert "✓ MUST     DELETE of an unfinished upload is answered with 204." in done.stdout
    assert done.stdout.splitlines()[-3].startswith("MUST     8 passed, 0 failed")


def test_the_command_s_status_is_1_where_the_server_breaks_a_must(ours: str):
    # There is no such slot.
    done = run(ours.replace("default", "nothing"), "--only", "core")
    assert done.returncode == 1
    assert "✗ MUST" in done.stdout


def test_a_server_that_is_not_there_fails():
    with TusServer("http://127.0.0.1:9/") as server:
        outcome = CHECKS["core-version_in_answers"].run(server)
    assert outcome.verdict == "failed"
    assert "did not answer" in outcome.reason


def test_sentences_are_sentences():
    for check in CHECKS.values():
        assert check.sentence[0].isupper()
        assert check.sentence.endswith(".")
        assert check.level in Level
