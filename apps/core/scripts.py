"""Browser scripts of ours, at addresses that any site may load and that never change."""

import gzip
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.http import http_date
from django.views.static import was_modified_since

FOLDER = Path(settings.BASE_DIR) / "static" / "public"


def serve_script(request: HttpRequest, name: str) -> HttpResponseBase:
    """Answer one of them, packed where the browser takes that, or that it has not changed."""
    path = FOLDER / name
    changed_at = int(path.stat().st_mtime)
    response: HttpResponseBase
    if was_modified_since(request.headers.get("If-Modified-Since"), changed_at):
        response = _answer(request, path, changed_at)
    else:
        response = HttpResponseNotModified()
    response["Last-Modified"] = http_date(changed_at)
    response["Cache-Control"] = "public, max-age=3600"
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


def _answer(request: HttpRequest, path: Path, changed_at: int) -> HttpResponse:
    plain, packed = _read(path, changed_at)
    takes_gzip = "gzip" in request.headers.get("Accept-Encoding", "").lower()
    response = HttpResponse(
        packed if takes_gzip else plain, content_type="text/javascript; charset=utf-8"
    )
    if takes_gzip:
        response["Content-Encoding"] = "gzip"
    return response


@lru_cache(maxsize=8)
def _read(path: Path, changed_at: int) -> tuple[bytes, bytes]:
    """The script as it is and packed; `changed_at` has it read again after a change."""
    plain = path.read_bytes()
    return plain, gzip.compress(plain, mtime=0)
