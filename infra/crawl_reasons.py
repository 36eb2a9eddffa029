"""Why a URL gave no image: the messages of a crawl as a bounded set of reasons, and which may pass with time.

A message is ours (components.crawl_guard), img2dataset's, or Python's; some quote what a server wrote, so a
pattern for our own words is bound to the start. Spark and Python both read the patterns, case apart.
"""

import functools
import re

# How the messages of components.crawl_guard and components.decoder start.
REFUSALS = (
    "bad_url",
    "forbidden_scheme",
    "forbidden_address",
    "forbidden_port",
    "too_many_redirects",
    "too_many_bytes",
    "too_many_pixels",
    "too_slow",
    "not_an_image",
    "decoder_crashed",
    "worker_killed",
)
# What the crawl writes as an error, as a pattern, and our word for it; the first match counts.
DOWNLOAD_REASONS = {
    **{f"^{reason}: ": reason for reason in REFUSALS},
    r"^Use of image disallowed by X-Robots-Tag": "opted_out",
    r"^HTTP Error 429": "too_many_requests",
    r"^HTTP Error 5\d\d": "server_error",
    r"^HTTP Error \d+": "http_error",
    r"certificate|\[SSL": "bad_certificate",
    r"timed? ?out": "timed_out",
    r"CV_IO_MAX_IMAGE": "too_many_pixels",
    r"decoding error|cannot identify|OpenCV": "not_an_image",
    r"name resolution|System error": "dns_failed",
    r"Name or service|nodename|No address associated": "no_such_host",
    r"Too many open files|Cannot allocate|MemoryError|No buffer space": "out_of_resources",
    r"Cannot assign requested address|start new thread|Resource temporarily": "out_of_resources",
    r"refused|unreachable|No route to host|(Network|Host) is down": "no_answer",
    r"reset by peer|closed connection|IncompleteRead|Broken pipe": "connection_lost",
}
OTHER_REASON = "download_failed"
# Trying these again later may succeed; the others say the same each time.
PASSING_REASONS = frozenset(
    {
        "too_slow",
        "timed_out",
        "connection_lost",
        "too_many_requests",
        "server_error",
        "dns_failed",
        "no_answer",
        "out_of_resources",
        "worker_killed",
    }
)
# Nobody spoke: as often the fault of this machine, its network or its name server as of the host.
UNANSWERED_REASONS = frozenset(
    {"timed_out", "connection_lost", "dns_failed", "no_such_host", "no_answer", "out_of_resources"}
)


@functools.lru_cache(maxsize=65_536)
def reason_of(message: str | None) -> str:
    """The reason that a failed row's message stands for."""
    found = (reason for text, reason in DOWNLOAD_REASONS.items() if re.search(text, message or "", re.I))
    return next(found, OTHER_REASON)
