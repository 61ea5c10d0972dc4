"""The first bytes of real files, made by hand, by Pillow or by zipfile."""

from __future__ import annotations

import io
import struct
import zipfile

from PIL import Image


def image(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(stream, kind)
    return stream.getvalue()


def archive(**members: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, text in members.items():
            file.writestr(name.replace("__", "/").replace("_", "."), text)
    return stream.getvalue()


def office(main: str) -> bytes:
    """The members that libmagic looks for, in the order that Office writes them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in ("[Content_Types].xml", "_rels/.rels", main):
            file.writestr(name, "<x/>")
    return stream.getvalue()


def wav() -> bytes:
    """http://soundfile.sapp.org/doc/WaveFormat/"""
    header = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    body = b"WAVE" + header + struct.pack("<4sI", b"data", 64) + bytes(64)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def mp4() -> bytes:
    """ISO/IEC 14496-12, 4.3: the file type box."""
    return struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"isom", 512, b"isom", b"mp42") + bytes(64)


def elf() -> bytes:
    """The header of an x86-64 executable, https://refspecs.linuxfoundation.org/elf/elf.pdf"""
    ident = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    return ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x401000, 64, 0, 0, 64, 56, 0, 0, 0, 0)


def pe() -> bytes:
    """https://learn.microsoft.com/windows/win32/debug/pe-format: a DOS stub, then the header."""
    stub = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
    return stub + coff + struct.pack("<H", 0x20B) + bytes(400)


PNG, JPG, GIF, WEBP = (image(kind) for kind in ("PNG", "JPEG", "GIF", "WEBP"))
ZIP = archive(a_txt="text")
DOCX = office("word/document.xml")
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"
WAV, MP4, ELF, PE = wav(), mp4(), elf(), pe()
TXT = b"A few words of plain text.\nAnd another line of it.\n"
CSV = b"name,age,city\nAda,36,London\nGrace,85,Arlington\nMary,37,London\n"
JSON = b'{"name": "Ada", "born": 1815, "languages": ["English", "French"]}\n'
HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
XML = b'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>x</title></feed>'
SCRIPTED_XML = (
    b'<?xml version="1.0"?><feed><x:script xmlns:x="http://www.w3.org/1999/xhtml">'
    b"alert(1)</x:script></feed>"
)
