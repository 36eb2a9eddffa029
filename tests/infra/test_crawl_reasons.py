"""Messages of a crawl, the reasons they stand for, and which may pass."""

import pytest

from infra.crawl_reasons import PASSING_REASONS, reason_of


@pytest.mark.parametrize(
    "message, reason, passes",
    [
        ("HTTP Error 429: Too Many Requests", "too_many_requests", True),
        ("HTTP Error 429: Too Many Requests (retry after 9 s)", "too_many_requests", True),
        ("HTTP Error 503: Service Unavailable", "server_error", True),
        ("HTTP Error 500: not_an_image: says the server", "server_error", True),
        ("HTTP Error 404: timed out", "http_error", False),
        ("HTTP Error 403: Forbidden", "http_error", False),
        ("<urlopen error timed out>", "timed_out", True),
        ("too_slow: not done after 30 seconds", "too_slow", True),
        ("[Errno 104] Connection reset by peer", "connection_lost", True),
        ("Remote end closed connection without response", "connection_lost", True),
        ("IncompleteRead(10 bytes read, 90 more expected)", "connection_lost", True),
        ("<urlopen error [Errno -3] Temporary failure in name resolution>", "dns_failed", True),
        ("<urlopen error [Errno -4] Non-recoverable failure in name resolution>", "dns_failed", True),
        ("<urlopen error [Errno -2] Name or service not known>", "no_such_host", False),
        ("<urlopen error [Errno -5] No address associated with hostname>", "no_such_host", False),
        ("<urlopen error [Errno 111] Connection refused>", "no_answer", True),
        ("<urlopen error [Errno 101] Network is unreachable>", "no_answer", True),
        ("<urlopen error [Errno 113] No route to host>", "no_answer", True),
        ("<urlopen error [Errno 100] Network is down>", "no_answer", True),
        ("<urlopen error [Errno 24] Too many open files>", "out_of_resources", True),
        ("<urlopen error [Errno 12] Cannot allocate memory>", "out_of_resources", True),
        ("<urlopen error [Errno 105] No buffer space available>", "out_of_resources", True),
        ("<urlopen error [Errno 99] Cannot assign requested address>", "out_of_resources", True),
        ("can't start new thread", "out_of_resources", True),
        ("MemoryError", "out_of_resources", True),
        ("forbidden_port: 22", "forbidden_port", False),
        ("forbidden_address: timed-out.test is 10.0.0.1", "forbidden_address", False),
        ("not_an_image: neither JPEG, PNG, WEBP, GIF nor BMP", "not_an_image", False),
        ("OpenCV(4.14.0) error: (-215:Assertion failed)", "not_an_image", False),
        ("Use of image disallowed by X-Robots-Tag directive", "opted_out", False),
        ("something new", "download_failed", False),
        (None, "download_failed", False),
    ],
)
def test_a_message_has_a_reason(message, reason, passes):
    assert (reason_of(message), reason_of(message) in PASSING_REASONS) == (reason, passes)
