"""Runs both example projects, and an S3 server beside them: python examples/demo.py [PORT]"""

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

EXAMPLES = Path(__file__).parent
BUCKET = "gallery"


def start_s3(port: int) -> subprocess.Popen[bytes]:
    """moto's: everything in memory, gone when it ends."""
    command = [sys.executable, "-m", "moto.server", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bucket = urllib.request.Request(f"http://localhost:{port}/{BUCKET}", method="PUT")
    for _ in range(100):
        with contextlib.suppress(OSError), urllib.request.urlopen(bucket):
            return server
        time.sleep(0.1)
    server.terminate()
    raise RuntimeError("moto's server does not answer")


def start_site(host: str, port: int, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    # Photos don't get smaller by deflating them, only slower.
    options = ["--ws-per-message-deflate", "false", "--lifespan", "off", "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", f"site_{host}.asgi:application", *options]
    return subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=EXAMPLES / f"{host}_site",
        env={
            **os.environ,
            "PYTHONPATH": str(EXAMPLES.parent),
            # Django warns that its own view of media files is synchronous.
            "PYTHONWARNINGS": "ignore:StreamingHttpResponse",
            **environ,
        },
    )


def main() -> int:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    stores = [start_s3(port + 2)]
    environ = {"DEMO_S3_ENDPOINT": f"http://localhost:{port + 2}"}
    sites = [start_site("djust", port, environ), start_site("channels", port + 1, environ)]
    print(f"djust:     http://localhost:{port}/gallery/")
    print(f"Channels:  http://localhost:{port + 1}/gallery/")
    print("Ctrl-C ends both.", flush=True)
    try:
        return max(site.wait() for site in sites)
    except KeyboardInterrupt:
        return 0
    finally:
        for server in (*sites, *stores):
            server.terminate()


if __name__ == "__main__":
    sys.exit(main())
