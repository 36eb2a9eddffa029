"""The page's server: what a browser on this machine may ask, and nothing else.

    GET  /                        the page, its script and style
    GET  /about                   the model, how many pictures, which were passed over
    GET  /search?text=            numbers, paths and cosines of the nearest pictures
    GET  /thumbnails/NUMBER       a small JPEG
    POST /classify                {"image": data URL, "labels": [...]} or {"number": 7, "labels": [...]}

Pictures go by number, so that no path comes from outside. A request must name the host it came to, so that no
page of another name reaches it (DNS rebinding); a post is JSON, which a page from elsewhere may not send
without asking, and it is never allowed to; and nothing answers to be shown in other pages.
"""

import asyncio
import json
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from infra.file_names import shown_name
from training.serve.answers import MAX_LABELS, Answers
from training.served_model import DATA_URL, RowError, source_of

HERE = Path(__file__).parent
SHARED = HERE.parent / "web" / "page"
FILES = {
    "": HERE / "page" / "index.html",
    "serve.js": HERE / "page" / "serve.js",
    "serve.css": HERE / "page" / "serve.css",
    **{name: SHARED / name for name in ("style.css", "answers.js", "picture_input.js")},
}
MAX_UPLOAD_BYTES = 20 * 2**20
# A data URL is a third longer than its picture; labels come beside it.
MAX_BODY_BYTES = MAX_UPLOAD_BYTES * 4 // 3 + 2**21
MAX_BODY_SECONDS = 30
NUM_FOUND = 60
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class TooLarge(Exception):
    """A body of more bytes than are read."""


class Headers:
    """Adds `HEADERS` to each answer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """One request."""

        async def send_with_headers(message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def make_app(answers: Answers, hosts: list[str]) -> Starlette:
    """The application; `hosts` are the names under which it may be asked, ["*"] for any."""
    page = Page(answers)
    routes = [
        Route("/about", page.about),
        Route("/search", page.search),
        Route("/thumbnails/{number:int}", page.thumbnail),
        Route("/classify", page.classify, methods=["POST"]),
        *(Route(f"/{name}", lambda request, path=path: FileResponse(path)) for name, path in FILES.items()),
    ]
    handlers = {RowError: _refuse, TooLarge: _too_large}
    middleware = [
        Middleware(Headers),
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
    ]
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


def _refuse(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _too_large(request: Request, error: Exception) -> Response:
    # The rest of the body is not read.
    return JSONResponse(
        {"error": f"the picture has more than {MAX_UPLOAD_BYTES >> 20} MB"},
        413,
        headers={"Connection": "close"},
    )


class Page:
    """Answers requests about one model and at most one folder."""

    def __init__(self, answers: Answers):
        self.answers, self.index = answers, answers.index

    def about(self, request: Request) -> Response:
        """What is served."""
        folder = self.index and {
            "name": shown_name(self.index.root.name),
            "pictures": len(self.index.pictures),
            "skipped": self.index.skipped,
        }
        limits = {"labels": MAX_LABELS, "upload_bytes": MAX_UPLOAD_BYTES}
        return JSONResponse({"model": self.answers.model.name, "folder": folder, "limits": limits})

    def search(self, request: Request) -> Response:
        """The pictures nearest to a text."""
        if self.index is None:
            raise RowError("no folder is searched: start dcclip serve with --images FOLDER")
        found = self.answers.search(request.query_params.get("text", ""), NUM_FOUND)
        rows = [
            {"number": number, "path": self.index.pictures[number].path, "cosine": cosine}
            for number, cosine in found
        ]
        return JSONResponse({"pictures": rows})

    def thumbnail(self, request: Request) -> Response:
        """A picture of the folder, small."""
        body = self.answers.thumbnail(self._number(request.path_params["number"]))
        return Response(body, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    def _number(self, number) -> int:
        """A picture's number.

        Raises:
            RowError: there is no such picture.
        """
        if self.index is None or type(number) is not int or not 0 <= number < len(self.index.pictures):
            raise RowError("there is no such picture")
        return number

    async def classify(self, request: Request) -> Response:
        """Scores of labels for a picture that is sent, or one of the folder."""
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            raise RowError("a question is JSON")
        question = _parsed(await _body(request))
        return JSONResponse({"scores": await run_in_threadpool(self._scores, question)})

    def _scores(self, question: dict) -> list[float]:
        labels, image = question.get("labels"), question.get("image")
        if "number" in question:
            return self.answers.classify_number(self._number(question["number"]), labels)
        # A path would be opened: only what was sent is.
        if not isinstance(image, str) or not DATA_URL.match(image):
            raise RowError("this is no picture file")
        body = source_of(image).getvalue()
        if len(body) > MAX_UPLOAD_BYTES:
            raise TooLarge
        return self.answers.classify(body, labels)


def _parsed(body: bytes) -> dict:
    try:
        question = json.loads(body)
    except (ValueError, RecursionError):
        raise RowError("a question is JSON") from None
    if not isinstance(question, dict):
        raise RowError("a question has labels and a picture")
    return question


async def _body(request: Request) -> bytes:
    """The body of a request, no more of it than is allowed.

    Raises:
        TooLarge: there is more.
        RowError: it takes too long.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(MAX_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise TooLarge
    except TimeoutError:
        raise RowError("the question comes too slowly") from None
    return bytes(body)
