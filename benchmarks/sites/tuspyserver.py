"""tuspyserver, the tus server for FastAPI."""

from __future__ import annotations

import os

from fastapi import FastAPI
from tuspyserver import create_tus_router

from benchmarks.sites import MAX_FILE_SIZE

application = FastAPI()
application.include_router(
    create_tus_router(
        prefix="files", files_dir=os.environ["UPLOAD_DIRECTORY"], max_size=MAX_FILE_SIZE
    )
)
