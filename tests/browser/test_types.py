"""``uploader.d.ts`` declares what ``uploader.js`` has, as TypeScript's compiler sees it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support import npm
from tests.support.servers import ROOT

STATIC = ROOT / "djust_uploads" / "static" / "djust_uploads"

CHECK = """
import * as code from "./code/uploader.js";
import * as declared from "./declared/uploader";

// What the code has is at least what is declared.
const uploader: declared.Uploader = new code.Uploader("/ws/");
const upload: Omit<declared.Upload, "status"> = uploader.files("photos")[0];
const own: Omit<declared.Upload, "status"> = new code.Uploader("/ws/").files("photos")[0];
const total: declared.Total = new code.Uploader("/ws/").total("photos");
const added: Omit<declared.Upload, "status">[] = new code.Uploader("/ws/").add("photos", []);
// And not less than what the code has.
const keys: Record<keyof code.Uploader, unknown> = {} as Record<keyof declared.Uploader, unknown>;
const totals: Record<keyof typeof total, unknown> =
  {} as Record<keyof ReturnType<code.Uploader["total"]>, unknown>;
export { added, keys, own, total, totals, upload, uploader };
"""

WRONG = """
import { Uploader } from "./declared/uploader";
new Uploader("/ws/").add("photos", "not files");
new Uploader("/ws/").addEventListener("push", ({ detail }) => detail.nothing);
"""


def compile_typescript(directory: Path, source: str) -> str:
    (directory / "declared").mkdir()
    (directory / "declared" / "uploader.d.ts").write_text((STATIC / "uploader.d.ts").read_text())
    subprocess.run(["cp", "-r", STATIC, directory / "code"], check=True)
    (directory / "code" / "uploader.d.ts").unlink()
    (directory / "check.ts").write_text(source)
    options = ["--strict", "--noEmit", "--allowJs", "--target", "esnext", "--module", "esnext"]
    more = ["--moduleResolution", "bundler", "--lib", "esnext,dom,dom.iterable,dom.asynciterable"]
    compiler = npm.modules() / ".bin" / "tsc"
    command = [compiler, *options, *more, "check.ts"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True).stdout


def test_the_types_are_those_of_the_code(tmp_path):
    assert compile_typescript(tmp_path, CHECK) == ""


def test_the_types_catch_mistakes(tmp_path):
    errors = compile_typescript(tmp_path, WRONG)
    assert errors.count("error TS") == 2, errors
