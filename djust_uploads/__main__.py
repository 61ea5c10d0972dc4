"""python -m djust_uploads: commands for the terminal. They need no Django project."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        from .client.command import run
    except ImportError as exc:
        print(exc, file=sys.stderr)
        return 1
    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m djust_uploads",
        description="Commands of djust_uploads for the terminal. They need no Django project.",
        epilog="'python -m djust_uploads upload --help' explains the options of a command.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    upload = commands.add_parser(
        "upload",
        help="upload a file to a server",
        description="Upload FILE to the upload endpoint at URL. If the upload is interrupted, run "
        "the same command again: it goes on where it was.",
        epilog="Example: python -m djust_uploads upload film.mp4 https://example.com/uploads/ "
        "--header 'Authorization: Bearer TOKEN'. When the upload is complete, its URL is printed. "
        "The exit status is 0 then, 1 if the upload failed, and 130 if you interrupted it.",
    )
    _add_upload_options(upload)
    return parser


def _add_upload_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the file to upload")
    parser.add_argument(
        "url", metavar="URL", help="where the server takes uploads (an UploadEndpoint, or tus)"
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="send this header with each request; may be repeated",
    )
    parser.add_argument(
        "--metadata",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="tell the server this about the file, in addition to its name and type; "
        "may be repeated",
    )
    parser.add_argument(
        "--checksums",
        action="store_true",
        help="send the file in pieces of 4 MiB, of which the server verifies the checksum",
    )
    parser.add_argument(
        "--chunk-size",
        type=int,
        metavar="BYTES",
        help="send at most so many bytes in a request, if a proxy on the way has a limit",
    )
    parser.add_argument(
        "--anew", action="store_true", help="start anew, even if an earlier upload can go on"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


if __name__ == "__main__":
    sys.exit(main())
