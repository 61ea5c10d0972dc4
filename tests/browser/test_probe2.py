from __future__ import annotations
import pytest
from tests.browser.test_probe import page  # noqa
from tests.browser.fake_server import run
from tests.browser.states import GUIDE, PROGRESS, show
pytestmark = pytest.mark.asyncio(loop_scope="module")

async def test_retry_many(page):
    # card buttons by keyboard: Enter on 'retry' keeps the focus
    await show(page, "failed", PROGRESS)
    await page.focus(".upload-retry")
    await page.keyboard.press("Enter")
    await run(page, "await drawn(); await drawn();")
    assert await page.evaluate("document.activeElement.ariaLabel") == "Pause film.mp4"

async def test_preview_appears(page):
    # preview container appears later: focus on a button in progress container's card
    await show(page, "uploading", PROGRESS)
    await page.focus("[aria-label='Pause film.mp4']")
    told = await run(page, """
      const p = document.createElement("div"); p.setAttribute("dj-upload-preview", "files");
      document.querySelector("form").prepend(p);
      await drawn(); await drawn(); await drawn();
      return [document.activeElement.ariaLabel, document.querySelectorAll(".upload-card").length, document.querySelectorAll("[dj-upload-progress] > *").length];
    """)
    assert told == ["Pause film.mp4", 4, 5]

async def test_focus_in_total_emptied(page):
    await show(page, "uploading", PROGRESS)
    await page.focus(".upload-pause-all")
    await page.evaluate("""() => document.querySelector("[dj-upload-progress]").replaceChildren()""")
    await run(page, "await drawn(); await drawn();")
    assert await page.evaluate("document.activeElement.className") == "upload-button upload-pause-all"

async def test_focus_input(page, tmp_path):
    await show(page, "uploading", PROGRESS)
    told = await run(page, """
      const c = document.querySelector(".upload-cancel"); c.focus();
      const names = page.all.map(u => u.name);
      for (const u of page.all) { document.activeElement.click(); await drawn(); await drawn(); }
      return [document.activeElement.id, page.all.length];
    """)
    assert told == ["files", 0]

async def test_cancel_mid_read(page):
    await show(page, "empty", PROGRESS)
    told = await run(page, """
      const sent = [];
      const u = await page.begin(textFile(100, "a"), {limit: 30});
      page.progress(u, "uploading", 30, {limit: 1000});
      page.uploads.cancel(u.ref);
      await drawn(); await drawn(); await new Promise(r => setTimeout(r, 200));
      return [socket.of("chunk").length, socket.of("cancel").length, socket.of("complete").length, recorded.progress.filter(p => p.status === "cancelled").length, socket.sent.at(-1).type];
    """)
    assert told == [3, 1, 0, 1, "cancel"]

async def test_5gb(page):
    await show(page, "empty", PROGRESS)
    told = await run(page, """
      const file = new File(["x"], "five.bin"); Object.defineProperty(file, "size", {value: 5 * 2 ** 30});
      file.slice = (a, b) => new Blob([new Uint8Array(b - a)]);
      page.connect({chunk_size: 65536, max_file_size: 2**40}); 
      page.uploads.add("files", [file]);
      const [{ref, client_size}] = await page.socket.wait("upload_register");
      page.socket.hear({type: "upload_registered", ref, offset: 0, upload_name: "files", limit: 0, chunk_size: 65536, resumable: true});
      const [u] = page.all;
      page.socket.lose(); page.connect({chunk_size: 65536, max_file_size: 2**40});
      page.resumed(u, "resumed", {chunk_size: 65536, bytes_received: 5 * 2**30 - 65536, limit: 5 * 2**30, progress: 99, max_frame_size: 1 << 20});
      await page.socket.wait("complete");
      await drawn(); await drawn();
      return [client_size, await page.socket.of("chunk")[0].index, page.socket.of("chunk").length, document.querySelector(".upload-preview-size").textContent];
    """)
    assert told == [5 * 2**30, (5 * 2**30 - 65536) // 65536, 1, "5.4 GB"]
