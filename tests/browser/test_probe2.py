from __future__ import annotations
import pytest
from tests.browser.test_probe import page  # noqa
from tests.browser.fake_server import run
from tests.browser.states import GUIDE, PROGRESS, show
pytestmark = pytest.mark.asyncio(loop_scope="module")

async def test_min(page):
    await show(page, "empty", PROGRESS)
    told = await run(page, """
      page.connect({min_entries: 2}); await drawn();
      const a = await page.begin(textFile(100, "a")), b = await page.begin(textFile(100, "b"));
      document.querySelector("form").requestSubmit(); await drawn();
      page.uploads.cancel(b.ref);
      page.progress(a, "complete", 100); await drawn(); await drawn();
      return [submits, document.querySelector(".upload-note").textContent];
    """)
    assert told == [0, "Add 1 more file."]

async def test_uploader_leak(page):
    await show(page, "empty", PROGRESS)
    await page.evaluate("""async () => {
      const {Uploader} = await import("/static/djust_uploads/uploader.js");
      window.OldSocket = window.WebSocket;
      window.refs = [];
      for (let i = 0; i < 5; i++) {
        const uploader = new Uploader("/ws/");
        const file = new File(["x"], "a.txt");
        uploader.add("files", [file]);
        refs.push(new WeakRef(file));
        await new Promise(r => setTimeout(r, 50));
        uploader.close();
      }
      window.sockets = [];
    }""")
    await page.wait_for_timeout(1500)
    session = await page.context.new_cdp_session(page)
    for _ in range(3):
        await session.send("HeapProfiler.collectGarbage")
    assert await page.evaluate("[refs.filter(r => r.deref()).length]") == [0]

async def test_two_inputs(page, tmp_path):
    await show(page, "empty", PROGRESS + '<input type=file dj-upload="files" id=second><div dj-upload-preview="files" id=p2></div>')
    (tmp_path/"a.txt").write_text("a"); (tmp_path/"b.txt").write_text("b")
    await page.set_input_files("#files", tmp_path/"a.txt")
    await run(page, "await drawn(); await drawn();")
    await page.set_input_files("#second", tmp_path/"b.txt")
    told = await run(page, "await drawn(); await drawn(); return [page.all.map(u => u.name), ['files', 'second'].map(i => [...document.getElementById(i).files].map(f => f.name)), socket.of('upload_register').length]")
    assert told == [["a.txt", "b.txt"], [["a.txt", "b.txt"]] * 2, 2]

async def test_reset(page, tmp_path):
    await show(page, "empty", PROGRESS)
    (tmp_path/"a.txt").write_text("a")
    await page.set_input_files("#files", tmp_path/"a.txt")
    told = await run(page, "await drawn(); document.querySelector('form').reset(); await drawn(); await drawn(); return [page.all.length, files.files.length]")
    assert told == 0

async def test_empty_drop_keeps_failed(page):
    await show(page, "failed", PROGRESS)
    told = await run(page, "const n = page.all.length; document.querySelector('input').files = new DataTransfer().files; document.querySelector('input').dispatchEvent(new Event('change', {bubbles: true})); await drawn(); return [n, page.all.length]")
    assert told == [3, 3]

async def test_bfcache(page):
    await show(page, "empty", PROGRESS)
    told = await run(page, """
      const a = await page.begin(textFile(100, "a"));
      dispatchEvent(new PageTransitionEvent("pagehide", {persisted: true}));
      socket.lose();
      dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}));
      const next = page.connect(); await drawn(); await drawn();
      page.resumed(a, "resumed", {bytes_received: 30, progress: 30});
      await drawn(); await next.wait("complete");
      return [page.all.length, next.of("upload_resume").length, document.querySelectorAll(".upload-card").length, next.of("chunk").map(c => c.index)];
    """)
    assert told == [1, 1, 1, [3,4,5,6,7,8,9]]

async def test_single_twice_before_connect(page):
    await show(page, "empty", PROGRESS)
    told = await run(page, """
      socket.lose(); 
      page.uploads.slots = {};
      page.uploads.add("files", [textFile(10, "a")]);
      page.uploads.add("files", [textFile(10, "b")]);
      const s = page.connect({max_entries: 1}); await drawn(); await drawn();
      return [page.all.map(u => [u.name, u.status]), s.of("upload_register").length];
    """)
    assert told == 0
