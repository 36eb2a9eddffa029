"""Images of every kind through a real crawl: what is stored has the right pixels, and crashes cost a row."""

import io
import os
import signal
import struct
import subprocess
import sys
import tarfile
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components import decoder
from components.crawl import crawl_urls
from components.crawl_guard import main
from components.decoder import IsolatedResizer
from components.download_pairs import DownloadPairs
from components.reduced_decoding import Output, ReducingResizer
from infra.crawl_reasons import reason_of
from tests.odd_images import CORNERS, CRAWLED, PLAIN, encoded, mean_of, oriented, png_chunk, red_corner

OUTPUT = Output(24, "png", 3)
TURNED = {
    f"turned {kind} {number}": oriented(number, kind)
    for kind in ("JPEG", "PNG", "WEBP")
    for number in CORNERS
}


def crashing_apng() -> bytes:
    """Animated, no frame control before its pixels, a frame's filter is 9: OpenCV's decoder crashes."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 6, 0, 0, 0)),
        (b"acTL", struct.pack(">II", 2, 0)),
        (b"IDAT", zlib.compress(bytes(5))),
        (b"fcTL", struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 0, 1, 0, 0)),
        (b"fdAT", struct.pack(">I", 1) + zlib.compress(b"\x09\x01\x02\x03\x04")),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in [*chunks, (b"IEND", b"")])


FILES = {
    **{name: PLAIN[name][0] for name in CRAWLED},
    **TURNED,
    "crashing": crashing_apng(),
    "cut off": encoded(Image.effect_noise((64, 64), 90))[:-500],
    "tiff": PLAIN["rgb TIFF"][0],
    "long": encoded(Image.new("1", (9_000, 4)), "PNG"),
}
NAMES = list(FILES)


@pytest.fixture(scope="module")
def crawled(tmp_path_factory) -> tuple[dict, dict]:
    """(stored picture by name, reason by name) of a crawl in this process."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            body = FILES[NAMES[int(self.path[1:])]]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    place = tmp_path_factory.mktemp("crawled")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    urls = [f"http://127.0.0.1:{server.server_port}/{number}" for number in range(len(NAMES))]
    pd.DataFrame({"url": urls, "en": "a picture"}).to_parquet(place / "urls.parquet")
    config = DownloadPairs(
        (),
        image_size=OUTPUT.image_size,
        encode_format="png",
        encode_quality=3,
        num_threads=4,
        max_requests_per_second_per_host=0.0,
        allow_private_addresses=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            main, "multiprocessing_distributor", lambda _, download, shards, *__: [*map(download, shards)]
        )
        crawl_urls(config, place / "urls.parquet", place, {})
    server.shutdown()
    rows = pd.read_parquet(place / "shards" / "00000.parquet")
    names = {row.key: NAMES[int(row.url.rsplit("/", 1)[1])] for row in rows.itertuples()}
    reasons = {names[row.key]: reason_of(row.error_message) for row in rows.itertuples() if row.error_message}
    return read_pictures(place / "shards" / "00000.tar", names), reasons


def read_pictures(shard: Path, names: dict[str, str]) -> dict[str, Image.Image]:
    with tarfile.open(shard) as tar:
        return {
            names[member.name[:-4]]: Image.open(io.BytesIO(tar.extractfile(member).read()))
            for member in tar
            if member.name.endswith(".png")
        }


def test_each_file_has_a_picture_or_a_reason(crawled):
    pictures, reasons = crawled
    assert reasons == {"cut off": "not_an_image", "tiff": "not_an_image", "long": "too_many_pixels"}
    assert pictures.keys() | reasons.keys() == FILES.keys()


@pytest.mark.parametrize("name", CRAWLED)
def test_pixels_are_stored_by_value(crawled, name):
    picture = crawled[0][name]
    assert (picture.mode, picture.size) == ("RGB", (32, 24))
    assert mean_of(picture) == pytest.approx(PLAIN[name][1], abs=1.6)


@pytest.mark.parametrize("name", TURNED)
def test_a_photo_is_stored_upright(crawled, name):
    assert red_corner(crawled[0][name]) == CORNERS[int(name[-1])]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_recorded_sizes_are_those_of_the_upright_picture(kind):
    stream = io.BytesIO(oriented(6, kind, scale=4))
    assert ReducingResizer(OUTPUT)(stream)[1:] == (24, 32, 120, 160, None)


@pytest.mark.parametrize("mode, kind", [("RGBA", "PNG"), ("P", "PNG"), ("P", "GIF"), ("RGB", "WEBP")])
def test_a_large_picture_of_any_kind_is_averaged_down(mode, kind):
    picture = Image.linear_gradient("L").resize((2400, 1800)).convert("RGB").convert(mode)
    file, *sizes, failure = ReducingResizer(Output(24, "png", 3))(io.BytesIO(encoded(picture, kind)))
    assert (sizes, failure) == ([32, 24, 2400, 1800], None)
    rows = np.asarray(Image.open(io.BytesIO(file)), float).mean((1, 2))
    assert rows == pytest.approx((np.arange(24) + 0.5) * 255 / 24, abs=4)


@pytest.fixture
def isolated():
    """A resizer with a child of its own."""
    decoder._child.cache_clear()
    yield IsolatedResizer(OUTPUT)
    decoder._child(OUTPUT).process.kill()
    decoder._child.cache_clear()


JPEG = io.BytesIO(PLAIN["rgb JPEG"][0])


@pytest.mark.parametrize(
    "number, reason",
    [
        (signal.SIGSEGV, "decoder_crashed"),
        (signal.SIGABRT, "decoder_crashed"),
        (signal.SIGKILL, "worker_killed"),
    ],
)
def test_a_crash_costs_one_row(isolated, number, reason):
    assert isolated(JPEG)[-1] is None
    os.kill(decoder._child(OUTPUT).process.pid, number)
    assert reason_of(isolated(JPEG)[-1]) == reason
    assert isolated(JPEG) == ReducingResizer(OUTPUT)(JPEG)


def test_a_decoder_killed_while_it_starts_costs_one_row(isolated):
    decoder._child(OUTPUT).process.kill()
    assert reason_of(isolated(JPEG)[-1]) == "worker_killed"
    assert isolated(JPEG)[-1] is None


def test_a_decoder_that_never_works_is_not_the_rows_fault(isolated, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="does not start"):
        isolated(JPEG)


def test_a_decoder_that_hangs_costs_one_row(isolated, monkeypatch):
    assert isolated(JPEG)[-1] is None
    monkeypatch.setattr(decoder, "MAX_SECONDS", 0.2)
    os.kill(decoder._child(OUTPUT).process.pid, signal.SIGSTOP)
    assert isolated(JPEG)[-1] == "decoder_crashed: not done after 0.2 seconds"


def test_a_picture_that_takes_too_much_memory_has_a_reason(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("components.reduced_decoding.decode_pixels", fail)
    assert ReducingResizer(OUTPUT)(JPEG)[-1].startswith("too_many_pixels: more memory")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_decoder_gets_no_more_memory_than_it_may():
    script = "from components.decoder import limit_memory; limit_memory(2**26); bytearray(2**27)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip().endswith("MemoryError")
