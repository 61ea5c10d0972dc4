"""What a hostile client asks over HTTP: right requests with some things wrong."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import TYPE_CHECKING

from tests.support.fuzzed_sockets import PATIENCE, SLOTS, reset
from tests.support.http import OCTETS, TUS

if TYPE_CHECKING:
    from tests.support.fuzzing import Fuzzer

VALUES = [
    *("", "0", "-1", "5", "5, 6", "99999", "999999999999999", "9" * 30, "1e3", "?0", "?1"),
    *("\xff\xfe", 'a; b="', "sha-256=:AA==:", "sha1 AAAA", "partial", "final;/uploads/files/x"),
    *("attachment; filename*=a; filename*0=b", "text/plain; x*=foo''%41", "name \xff", "x" * 5000),
]

NAMES = [
    *("Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Concat", "Upload-Defer-Length"),
    *("Upload-Checksum", "Upload-Complete", "Upload-Draft-Interop-Version", "Content-Digest"),
    *("Content-Disposition", "Content-Type", "Repr-Digest", "X-HTTP-Method-Override", "Origin"),
    *("Accept-Language", "Cookie", "Host", "Expect", "Authorization", "Range", "Referer"),
]


async def http(fuzzer: Fuzzer, rng: random.Random) -> None:
    """An upload by tus, by the draft or by plain POST, with some things wrong."""
    body = bytes(rng.choice([0, 5, 500, 4000]))
    slot = rng.choice(SLOTS)
    how = rng.randrange(3)
    if how == 0:
        name = base64.b64encode(b"a.txt").decode()
        announced = {"Upload-Length": str(len(body)), "Upload-Metadata": f"filename {name}"}
        answer = await ask(fuzzer, rng, "POST", f"/uploads/{slot}/", {**TUS, **announced}, b"")
        path = location(fuzzer, answer) or rng.choice(fuzzer.paths)
        middle = rng.randrange(len(body) + 1)
        for start, piece in ((0, body[:middle]), (middle, body[middle:])):
            headers = {**TUS, **OCTETS, "Upload-Offset": str(start)}
            await ask(fuzzer, rng, "PATCH", path, headers, piece)
    elif how == 1:
        headers = {"Upload-Complete": rng.choice(["?0", "?1"]), "Upload-Length": str(len(body))}
        version = rng.choice(["5", "6", "8", ""])
        if version:
            headers["Upload-Draft-Interop-Version"] = version
        path = f"/uploads/{slot}/"
        answer = await ask(fuzzer, rng, "POST", path, headers, body)
        path = location(fuzzer, answer) or rng.choice(fuzzer.paths)
    else:
        disposition = {"Content-Disposition": 'attachment; filename="a.txt"'}
        answer = await ask(fuzzer, rng, "POST", f"/uploads/{slot}/", disposition, body)
        path = location(fuzzer, answer) or rng.choice(fuzzer.paths)
    for method in rng.sample(["HEAD", "GET", "DELETE", "OPTIONS"], rng.randint(0, 2)):
        await ask(fuzzer, rng, method, rng.choice([path, *fuzzer.paths]), TUS, b"")


def location(fuzzer: Fuzzer, answer: bytes) -> str:
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        if line.lower().startswith(b"location: "):
            path = line[10:].decode()
            path = path[path.index("/uploads/") :]
            fuzzer.paths.append(path)
            return path
    return ""


async def ask(
    fuzzer: Fuzzer,
    rng: random.Random,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
) -> bytes:
    """Send one request, with some things wrong, and return the answer if we wait for it."""
    lines = [("Host", f"127.0.0.1:{fuzzer.port}"), *headers.items()]
    if body or method in ("POST", "PATCH"):
        lines.append(("Content-Length", str(len(body))))
    if rng.random() < 0.3:
        lines.append(("Cookie", f"sessionid={rng.choice(fuzzer.cookies)}"))
        lines.append(("Origin", f"http://127.0.0.1:{fuzzer.port}"))
    patience = PATIENCE
    if rng.random() < 0.5:
        mutate_lines(lines, rng)
        # The server may wait for a body that was announced.
        patience = 1.0
    if rng.random() < 0.1:
        path = rng.choice([path + "?\xff=%ff", path + "x" * 3000, path + "/%00", path[:-3], "/"])
    lines.append(("Connection", "close"))
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines) + "\r\n"
    request = head.encode("latin-1") + body
    goes = rng.random() < 0.15
    if goes:
        request = request[: rng.randrange(len(request) + 1)]
    reader, writer = await asyncio.open_connection("127.0.0.1", fuzzer.port)
    try:
        writer.write(request)
        if goes:
            await writer.drain()
            if rng.random() < 0.5:
                reset(writer)
            return b""
        async with asyncio.timeout(patience):
            answer = await reader.read()
    except TimeoutError:
        assert patience < PATIENCE, request
        return b""
    except OSError:
        # The server has closed the connection.
        return b""
    finally:
        writer.close()
    if answer:
        status = int(answer.split(b" ", 2)[1])
        assert status < 500 or status in (501, 503), (request, answer)
    return answer


def mutate_lines(lines: list[tuple[str, str]], rng: random.Random) -> None:
    for _ in range(rng.randint(1, 3)):
        what, where = rng.randrange(4), rng.randrange(len(lines))
        if what == 0:
            lines[where] = (lines[where][0], rng.choice(VALUES))
        elif what == 1 and len(lines) > 1:
            del lines[where]
        elif what == 2:
            lines.append(lines[where])
        else:
            lines.append((rng.choice(NAMES), rng.choice(VALUES)))
