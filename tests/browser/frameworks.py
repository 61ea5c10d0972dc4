"""What pages are tested with of the npm packages that ``make test`` installs: styles, and axe."""

from __future__ import annotations

import sys
from pathlib import Path

#: ``tests/npm.sh`` installs them beside the Python.
PACKAGES = Path(sys.prefix) / "npm" / "node_modules"

AXE = PACKAGES / "axe-core" / "axe.min.js"


def _style(*parts: str) -> str:
    return f"<style>{PACKAGES.joinpath(*parts).read_text()}</style>"


def bootstrap() -> str:
    return _style("bootstrap", "dist", "css", "bootstrap.min.css")


def tailwind() -> str:
    """Tailwind's reset, without the layer that makes it yield to everything."""
    return _style("tailwindcss", "preflight.css")
