"""A picture server in a process of its own, for tests and benchmarks of the crawl; it counts who was asked.

`python tests/components/crawl_site.py` prints its port, answers `/NUMBER.jpg` with a picture and `/counts`
with requests by path. By query a path behaves: `?status=503` always fails
so, `?status=503&times=1` once, `?slow=0.2` waits, `?tag=noai` sets X-Robots-Tag, `?pause=1` Retry-After.
"""

import argparse
import asyncio
import contextlib
import io
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator

import numpy as np
from aiohttp import web
from PIL import Image


def make_pictures(count: int, side: int, seed: int = 0) -> list[bytes]:
    """JPEGs of 4 by 3 with detail at all scales alike, as photographs have it."""
    draw = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        pixels = np.full((side, side * 4 // 3, 3), 128.0)
        for cell in (64, 32, 16, 8, 4, 2):
            grid = Image.fromarray(
                draw.integers(0, 256, (-(-side // cell), -(-side * 4 // 3 // cell), 3), np.uint8)
            )
            detail = np.asarray(grid.resize(pixels.shape[1::-1], Image.Resampling.BICUBIC), float)
            pixels += (detail - 128) * (0.25 if cell > 2 else 0.1)
        stream = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=85)
        pictures.append(stream.getvalue())
    return pictures


def make_site(pictures: list[bytes]) -> web.Application:
    """The server."""
    asked: Counter[str] = Counter()

    async def counts(request: web.Request) -> web.Response:
        return web.json_response(dict(asked))

    async def picture(request: web.Request) -> web.Response:
        asked[request.path] += 1
        wish = request.query
        await asyncio.sleep(float(wish.get("slow", 0)))
        headers = {"X-Robots-Tag": wish["tag"]} if "tag" in wish else {}
        if "status" in wish and asked[request.path] <= int(wish.get("times", 1_000)):
            headers |= {"Retry-After": wish["pause"]} if "pause" in wish else {}
            return web.Response(status=int(wish["status"]), headers=headers)
        body = pictures[int(request.match_info["number"]) % len(pictures)]
        return web.Response(body=body, headers=headers, content_type="image/jpeg")

    site = web.Application()
    site.add_routes([web.get("/counts", counts), web.get("/{number}.jpg", picture)])
    return site


async def serve(site: web.Application) -> None:
    """On a free port of loopback, for ever."""
    runner = web.AppRunner(site, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


@contextlib.contextmanager
def running(*options: str) -> Iterator[str]:
    """The server in a process of its own; gives its address."""
    server = subprocess.Popen([sys.executable, __file__, *options], stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()


def counts_of(site: str) -> dict[str, int]:
    """How often each path was asked for."""
    with urllib.request.urlopen(f"{site}/counts") as answer:
        return json.load(answer)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--side", type=int, default=48)
    arguments = parser.parse_args()
    asyncio.run(serve(make_site(make_pictures(arguments.pictures, arguments.side))))
