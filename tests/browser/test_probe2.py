from __future__ import annotations
import pytest
from tests.browser.test_probe import page  # noqa
from tests.browser.fake_server import run
from tests.browser.states import GUIDE, PROGRESS, show
pytestmark = pytest.mark.asyncio(loop_scope="module")

async def test_gone_before_measured(page, tmp_path):
    await show(page, "empty", PROGRESS + '<input type="file" multiple id="own">')
    paths = [tmp_path / f"{n}.txt" for n in range(3)]
    for path in paths: path.write_text("a" * 30)
    await page.set_input_files("#own", paths)
    paths[0].unlink()
    told = await run(page, """
        page.uploads.add("files", document.querySelector("#own").files);
        await page.socket.wait("upload_register", 3);
        for (const u of page.all) socket.hear({type: "upload_registered", ref: u.ref, upload_name: "files", offset: 0, limit: 1e6, chunk_size: 1000, resumable: true});
        await new Promise(r => setTimeout(r, 500));
        return page.all.map(u => [u.name, u.size, u.status, socket.of("complete").filter(c => c.ref === u.ref).length]);
    """)
    assert told == 0
