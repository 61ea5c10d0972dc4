"""Runs both example projects: python examples/demo.py [PORT]"""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent


def start(host: str, port: int) -> subprocess.Popen[bytes]:
    # Photos don't get smaller by deflating them, only slower.
    options = ["--ws-per-message-deflate", "false", "--lifespan", "off", "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", f"site_{host}.asgi:application", *options]
    return subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=EXAMPLES / f"{host}_site",
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
    )


def main() -> int:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    servers = [start("djust", port), start("channels", port + 1)]
    print(f"djust:     http://localhost:{port}/gallery/")
    print(f"Channels:  http://localhost:{port + 1}/gallery/")
    print("Ctrl-C ends both.", flush=True)
    try:
        return max(server.wait() for server in servers)
    except KeyboardInterrupt:
        return 0
    finally:
        for server in servers:
            server.terminate()


if __name__ == "__main__":
    sys.exit(main())
