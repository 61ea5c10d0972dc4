"""What checks ask of a response."""

from __future__ import annotations

import httpx


class Violation(AssertionError):
    """The server does not do what a check asks for."""


class NotApplicable(Exception):
    """The server does not announce what a check is about."""


def expect_status(response: httpx.Response, *statuses: int) -> None:
    """Raise :class:`Violation` unless the response has one of the statuses."""
    if response.status_code not in statuses:
        wanted = " or ".join(str(status) for status in statuses)
        raise Violation(f"{told(response)} where {wanted} is right")


def expect_refusal(response: httpx.Response) -> None:
    """Raise :class:`Violation` unless the response has a status of 400 to 499."""
    if not response.is_client_error:
        raise Violation(f"{told(response)} where a status of 400 to 499 is right")


def expect_header(response: httpx.Response, name: str, value: str) -> None:
    """Raise :class:`Violation` unless the response has the header with exactly this value."""
    actual = response.headers.get(name)
    if actual is None:
        raise Violation(f"{told(response)} without {name}")
    if actual != value:
        actual, value = short(actual), short(value)
        raise Violation(f"{told(response)} with {name}: {actual} where {value} is right")


def expect_no_header(response: httpx.Response, name: str) -> None:
    """Raise :class:`Violation` if the response has the header."""
    if name in response.headers:
        raise Violation(f"{told(response)} with {name}: {short(response.headers[name])}")


def told(response: httpx.Response) -> str:
    """Return in words what was asked and what the answer is."""
    request = response.request
    method = request.headers.get("X-HTTP-Method-Override") or request.method
    answer = f"{method} is answered with {response.status_code}"
    if response.is_error and (text := " ".join(response.text.split())):
        answer += f" ({short(text)})"
    return answer


def short(text: str) -> str:
    """Return the text, without its middle if it is long."""
    return text if len(text) <= 100 else f"{text[:50]}…{text[-50:]}"
