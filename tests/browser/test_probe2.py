from __future__ import annotations
import pytest
from tests.browser.test_probe import page  # noqa
from tests.browser.fake_server import run
from tests.browser.states import GUIDE, PROGRESS, show
pytestmark = pytest.mark.asyncio(loop_scope="module")

async def test_image_drag(page, tmp_path):
    from PIL import Image
    Image.new("RGB", (300, 200), "red").save(tmp_path / "a.png")
    await show(page, "empty", GUIDE)
    await page.set_input_files("[dj-upload]", tmp_path / "a.png")
    await page.wait_for_selector(".upload-preview-image:not([hidden])")
    await page.evaluate("""() => { window.log=[]; for (const t of ["dragstart","dragenter","drop","dragend"]) addEventListener(t, e => log.push([t, e.target.nodeName, e.dataTransfer?.types.join(), e.dataTransfer.files.length]), true) }""")
    box = await (await page.query_selector(".upload-preview-image")).bounding_box()
    x, y = box["x"] + box["width"]/2, box["y"] + box["height"]/2
    await page.mouse.move(x, y); await page.mouse.down()
    await page.mouse.move(x + 40, y - 20, steps=5)
    z = await (await page.query_selector("[dj-upload-drop] p")).bounding_box()
    await page.mouse.move(z["x"] + 60, z["y"] + 5, steps=5)
    lit = await page.evaluate("document.querySelectorAll('.upload-dragover').length")
    await page.mouse.up()
    await page.wait_for_timeout(300)
    assert [lit, await page.evaluate("log"), await run(page, "return page.all.map(u => u.name)")] == 0

async def test_odd_names(page):
    await show(page, "empty", GUIDE)
    told = await run(page, """
      const names = ["<b>x</b>.txt", "{name}.txt", "$&.txt", "\\ud800.txt", "a\\u202Egnp.exe", "", ".", "a/b\\\\c.txt", "n".repeat(300) + ".txt"];
      page.connect({max_entries: 20, early_limit: 100000});
      page.uploads.add("files", names.map(n => new File(["x"], n)));
      await drawn(); await drawn(); await drawn();
      return [page.all.length, [...document.querySelectorAll(".upload-cancel")].map(b => b.ariaLabel.slice(0, 30)), socket.of("upload_register").length, page.all.map(u=>u.status)];
    """)
    assert told == 0

async def test_two_slots(page):
    await show(page, "empty", GUIDE + GUIDE.replace('"files"', '"docs"').replace('id="form"', ''))
    told = await run(page, """
      const {SLOT} = await import("/fake_server.js");
      page.connect({}, {files: {...SLOT}, docs: {...SLOT, name: "docs", auto_upload: false}});
      await drawn();
      page.uploads.add("files", [textFile(10, "a")]); page.uploads.add("docs", [textFile(10, "b")]);
      document.querySelectorAll("form")[1].requestSubmit();
      await drawn(); await drawn();
      return [[...document.querySelectorAll(".upload-note")].map(n => n.textContent), page.socket.of("upload_register").length];
    """)
    assert told == 0

async def test_pause_resume_chosen(page):
    await show(page, "empty", PROGRESS)
    told = await run(page, """
      page.connect({auto_upload: false}); await drawn();
      page.uploads.add("files", [textFile(10, "a")]);
      await drawn(); await drawn();
      page.socket.lose(); await drawn();
      page.connect({auto_upload: false}); await drawn(); await drawn();
      return page.all.map(u => u.status);
    """)
    assert told == ["chosen"]
