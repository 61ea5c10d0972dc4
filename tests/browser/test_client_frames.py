"""The frames that the client sends: how long they are, who reads them, and lists of files."""

from __future__ import annotations

import pytest

from tests.browser.fake_server import run

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHUNK = 64 * 1024
MIB = 1024 * 1024

#: Begins an upload of ``argument.size`` bytes in chunks of 64 KiB. ``hear(limit)`` is the server's
#: next word, so much later on the page's clock.
BEGIN = """
const CHUNK = 64 * 1024;
const file = new File([new Uint8Array(argument.size)], "movie.bin");
const [upload] = page.uploads.add("files", [file]);
const [{ref}] = await socket.wait("upload_register");
socket.hear({
  type: "upload_registered", ref, upload_name: "files", offset: 0, limit: argument.limit ?? CHUNK,
  chunk_size: CHUNK, max_frame_size: argument.maxFrameSize, resumable: true,
});
const sent = () => page.socket.of("chunk").reduce((sum, {size, text}) => {
  return sum + (size ?? text.length);
}, 0);
const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
// Until the client has sent all that it may, and longer than the time of one frame.
const allowed = async (limit) => {
  while (sent() < Math.min(limit, file.size)) await later(5);
  await later(30);
};
const hear = async (limit) => {
  page.progress(upload, "uploading", 0, {limit});
  await allowed(limit);
};
const frames = async () => await Promise.all(socket.of("chunk").map(async (frame) => {
  return [await frame.index, frame.size ?? frame.text.length, Boolean(frame.blob)];
}));
"""


#: All that the server says comes at once, however busy the machine is.
AT_ONCE = "performance.now = () => 1000;"


async def test_frames_grow_with_what_arrives_and_the_browser_reads_long_ones(fake_page):
    frames = await run(
        fake_page,
        AT_ONCE
        + BEGIN
        + "await allowed(CHUNK); await hear(8 * CHUNK); await hear(64 * CHUNK); return frames();",
        {"size": 4 * MIB, "maxFrameSize": 4 * MIB},
    )
    index = 0
    for number, size, _blob in frames:
        assert number == index
        assert size % CHUNK == 0
        index += size // CHUNK
    assert index == 64
    assert frames[0] == [0, CHUNK, False], "a short one, which the page reads faster itself"
    assert max(size for _, size, _ in frames) >= 8 * CHUNK
    assert all(blob == (size >= 2 * CHUNK) for _, size, blob in frames)


async def test_a_fast_link_has_longer_frames_than_its_rate_alone_would_give_it(fake_page):
    sizes = await run(
        fake_page,
        """
        const {Pace} = await import("/static/djust_uploads/wire/pace.js");
        const {now} = performance;
        const sizes = [];
        try {
          for (const rate of [12_500, 100_000]) {
            let clock = 0;
            performance.now = () => clock;
            const pace = new Pace(0);
            clock = 100;
            pace.heard(100 * rate);
            sizes.push(pace.frameSize);
          }
        } finally {
          performance.now = now;
        }
        return sizes;
        """,
    )
    # Bytes of 20 ms at 100 Mbit/s, so that an event never waits long, and of 60 ms at 800.
    assert sizes == [250_000, 6_000_000]


async def test_no_frame_is_longer_than_the_server_takes_it_or_beyond_the_limit(fake_page):
    frames = await run(
        fake_page,
        AT_ONCE
        + BEGIN
        + "await allowed(CHUNK); await hear(8 * CHUNK); await hear(30 * CHUNK); return frames();",
        {"size": 4 * MIB, "maxFrameSize": 3 * CHUNK},
    )
    assert max(size for _, size, _ in frames) == 3 * CHUNK
    assert sum(size for _, size, _ in frames) == 30 * CHUNK


async def test_a_server_that_does_not_tell_is_sent_single_chunks(fake_page):
    frames = await run(
        fake_page,
        BEGIN
        + "await allowed(CHUNK); await hear(8 * CHUNK); await hear(16 * CHUNK); return frames();",
        {"size": 4 * MIB},
    )
    assert frames == [[number, CHUNK, False] for number in range(16)]


async def test_the_last_chunk_of_a_frame_may_be_short(fake_page):
    frames = await run(
        fake_page,
        BEGIN
        + "await allowed(CHUNK); await hear(8 * CHUNK); await hear(64 * CHUNK); return frames();",
        {"size": 20 * CHUNK + 5, "maxFrameSize": 4 * MIB},
    )
    assert sum(size for _, size, _ in frames) == 20 * CHUNK + 5
    assert all(size % CHUNK == 0 for _, size, _ in frames[:-1])


async def test_a_socket_that_takes_no_blobs_is_sent_bytes(fake_page):
    frames = await run(
        fake_page,
        "socket.takesBlobs = false;"
        + BEGIN
        + "await allowed(CHUNK); await hear(8 * CHUNK); await hear(64 * CHUNK); return frames();",
        {"size": 4 * MIB, "maxFrameSize": 4 * MIB},
    )
    assert not any(blob for _, _, blob in frames)
    assert sum(size for _, size, _ in frames) == 4 * MIB
    assert [number for number, _, _ in frames] == sorted(number for number, _, _ in frames)


async def test_a_server_or_proxy_that_takes_less_is_sent_less(fake_page):
    told = await run(
        fake_page,
        BEGIN
        + """
        await allowed(CHUNK);
        await hear(8 * CHUNK);
        await hear(64 * CHUNK);
        const longest = (socket) => Math.max(...socket.of("chunk").map(({size = 0}) => size));
        const before = longest(socket);
        socket.readyState = WebSocket.CLOSED;
        socket.dispatchEvent(new CloseEvent("close", {code: 1009}));
        const second = page.connect();
        page.resumed(upload, "resumed", {
          bytes_received: 0, limit: CHUNK, chunk_size: CHUNK, max_frame_size: argument.maxFrameSize,
        });
        await allowed(CHUNK);
        await hear(8 * CHUNK);
        await hear(64 * CHUNK);
        return [before, longest(second)];
        """,
        {"size": 4 * MIB, "maxFrameSize": 4 * MIB},
    )
    before, after = told
    assert 0 < after <= before / 2


async def test_a_file_that_is_gone_ends_only_itself(fake_page):
    """The browser would end the whole connection."""
    told = await run(
        fake_page,
        BEGIN
        + """
        await allowed(CHUNK);
        await hear(8 * CHUNK);
        await later(300);
        const gone = () => Promise.reject(new DOMException("gone", "NotReadableError"));
        file.slice = (start, end) => ({
          size: end - start, arrayBuffer: gone, slice: () => ({ arrayBuffer: gone }),
        });
        page.progress(upload, "uploading", 0, {limit: 64 * CHUNK});
        while (!upload.ended) await new Promise((resolve) => setTimeout(resolve, 5));
        return [upload.status, upload.code, socket.of("cancel").length, socket.readyState];
        """,
        {"size": 4 * MIB, "maxFrameSize": 4 * MIB},
    )
    assert told == ["error", "unreadable", 1, 1]


async def test_a_file_that_was_gone_before_its_size_was_known_is_no_empty_one(fake_page, tmp_path):
    paths = [tmp_path / name for name in ("gone.txt", "empty.txt")]
    paths[0].write_text("Dear reader")
    paths[1].write_text("")
    await fake_page.evaluate(
        """() => {
          document.body.insertAdjacentHTML("beforeend", '<input type="file" multiple id="own">');
        }"""
    )
    await fake_page.set_input_files("#own", paths)
    paths[0].unlink()
    told = await run(
        fake_page,
        """
        const uploads = page.uploads.add("files", document.querySelector("#own").files);
        await socket.wait("upload_register", 2);
        for (const {ref} of uploads) {
          socket.hear({
            type: "upload_registered", ref, upload_name: "files", offset: 0, limit: 100,
            chunk_size: 10, resumable: true,
          });
        }
        await socket.wait("cancel");
        await socket.wait("complete");
        const complete = socket.of("complete").map(({ref}) => page.uploads.of("files")
          .find((upload) => upload.ref === ref).name);
        return [uploads.map(({code}) => code), complete];
        """,
    )
    assert told == [["unreadable", None], ["empty.txt"]]


#: A slot of a server that takes lists and early bytes.
LISTS = "page.connect({resumable: false, early_limit: 25}); const second = page.socket;"


async def test_many_files_are_announced_together_and_small_ones_sent_along(fake_page):
    told = await run(
        fake_page,
        LISTS
        + """
        const files = Array.from({length: 6}, (_, at) => textFile(10, `${at}.txt`));
        const uploads = page.uploads.add("files", files);
        await second.wait("complete", 2);
        await drawn();
        return {
          messages: second.of("upload_register").map(({uploads}) => uploads.length),
          along: second.of("complete").length,
          same: second.of("upload_register")[0].uploads
            .every(({ref}, at) => ref === uploads[at].ref),
        };
        """,
    )
    # 25 bytes may come before the answers.
    assert told == {"messages": [6], "along": 2, "same": True}


async def test_the_answers_make_room_for_more(fake_page):
    told = await run(
        fake_page,
        LISTS
        + """
        const files = Array.from({length: 4}, (_, at) => textFile(10, `${at}.txt`));
        const uploads = page.uploads.add("files", files);
        await second.wait("complete", 2);
        second.hear({type: "upload_registered", uploads: uploads.map(({ref}) => ({
          type: "upload_registered", ref, upload_name: "files", offset: 0, limit: 10,
          chunk_size: 10, resumable: false,
        }))});
        await second.wait("complete", 4);
        const chunks = second.of("chunk").map(({ref}) => ref);
        second.hear({type: "upload_progress", uploads: uploads.map(({ref}) => ({
          type: "upload_progress", ref, status: "complete", progress: 100, offset: 10, limit: 10,
        }))});
        return [new Set(chunks).size, chunks.length, uploads.map(({status}) => status)];
        """,
    )
    assert told == [4, 4, ["complete"] * 4]


async def test_a_refusal_of_one_of_many(fake_page):
    told = await run(
        fake_page,
        LISTS
        + """
        const files = Array.from({length: 3}, (_, at) => textFile(10, `${at}.txt`));
        const uploads = page.uploads.add("files", files);
        await second.wait("upload_register");
        second.hear({type: "upload_registered", uploads: [
          {type: "upload_progress", ref: uploads[0].ref, status: "error", code: "forbidden",
           error: "No.", progress: 0},
        ]});
        return uploads.map(({status}) => status);
        """,
    )
    assert told == ["error", "uploading", "uploading"]
