from __future__ import annotations
import pytest
from tests.browser.test_probe import page  # noqa
from tests.browser.chromium import drag
from tests.browser.fake_server import run
from tests.browser.states import GUIDE, PROGRESS, show
pytestmark = pytest.mark.asyncio(loop_scope="module")

async def test_cancel(page, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    await show(page, "empty", GUIDE)
    await page.evaluate("""() => { window.log=[]; for (const t of ["dragenter","dragover","dragleave","dragend","drop","dragexit"]) addEventListener(t, e => log.push([t, e.target.nodeName, e.relatedTarget?.nodeName, e.dataTransfer?.types.join()]), true) }""")
    z = await page.query_selector("[dj-upload-drop]")
    for k in ("dragEnter", "dragOver", "dragCancel"):
        await drag(page, z, k, [tmp_path / "a.txt"])
    await page.wait_for_timeout(300)
    assert await page.evaluate("log") == 0
