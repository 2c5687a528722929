"""The page: the files that Vite built, and the settings that the page reads first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

BY_CONTENT = "assets"
"""The folder of the files whose names hold a hash of their content. Such a file never changes."""
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


class Site(StaticFiles):
    """The files of a folder. `/` is its index.html."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True)

    def file_response(
        self, full_path: Any, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """A file, with how long a browser may keep it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        is_by_content = Path(full_path).parent.name == BY_CONTENT
        response.headers["Cache-Control"] = FOR_EVER if is_by_content else ASK_AGAIN
        return response


def is_built(folder: Path) -> bool:
    """Whether a folder holds the page."""
    return (folder / "index.html").is_file()


def settings(stage: str) -> Response:
    """What the page needs to know. The API is at the same address, and asks for no login."""
    content = {"name": "stockstream", "stage": stage, "apiBase": "", "auth": None}
    return JSONResponse(content, headers={"Cache-Control": ASK_AGAIN})
