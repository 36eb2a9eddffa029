"""One line a rule: which reason a download, an image and a copy get."""

import pytest
from pyspark.sql import Row

from spark_jobs.rules import ImageLimits, download_rules, duplicate_rules, first_reason, image_rules

DOWNLOADS = [
    ("success", None, None),
    ("failed_to_download", "HTTP Error 404: Not Found", "http_error"),
    ("failed_to_download", "HTTP Error 408: Request timed out", "http_error"),
    ("failed_to_download", "<urlopen error timed out>", "timed_out"),
    ("failed_to_download", "The read operation timed out", "timed_out"),
    ("failed_to_download", "<urlopen error [Errno 110] Connection timed out>", "timed_out"),
    ("failed_to_resize", "Image decoding error", "not_an_image"),
    ("failed_to_resize", "cannot identify image file", "not_an_image"),
    ("failed_to_download", "<urlopen error [Errno 111] Connection refused>", "no_answer"),
    ("failed_to_download", "<urlopen error [Errno 101] Network is unreachable>", "no_answer"),
    ("failed_to_download", "<urlopen error [Errno -2] Name or service not known>", "no_such_host"),
    ("failed_to_download", "<urlopen error [Errno 24] Too many open files>", "out_of_resources"),
    ("failed_to_download", "forbidden_port: 22", "forbidden_port"),
    ("failed_to_download", "<urlopen error [Errno -3] Temporary failure in name resolution>", "dns_failed"),
    ("failed_to_download", "Remote end closed connection without response", "connection_lost"),
    ("failed_to_download", "Use of image disallowed by X-Robots-Tag directive", "opted_out"),
    ("failed_to_download", "forbidden_address: no-timed-out.test is 10.0.0.1", "forbidden_address"),
    ("failed_to_download", "forbidden_scheme: file", "forbidden_scheme"),
    ("failed_to_download", "bad_url: no host", "bad_url"),
    ("failed_to_download", "too_many_redirects: more than 3", "too_many_redirects"),
    ("failed_to_download", "too_many_bytes: more than 20", "too_many_bytes"),
    ("failed_to_download", "too_many_pixels: 9 x 9, more than 20", "too_many_pixels"),
    ("failed_to_download", "too_slow: not done after 30 seconds", "too_slow"),
    ("failed_to_download", "not_an_image: neither JPEG nor PNG", "not_an_image"),
    ("failed_to_download", "HTTP Error 500: forbidden_address: not so", "server_error"),
    ("failed_to_resize", "(-215:Assertion failed) pixels <= CV_IO_MAX_IMAGE_PIXELS", "too_many_pixels"),
    (
        "failed_to_download",
        "<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch>",
        "bad_certificate",
    ),
    ("failed_to_download", None, "download_failed"),
]


@pytest.fixture(scope="module")
def download_reasons(spark) -> dict:
    """Reasons by img2dataset's message, all found in one job."""
    rows = spark.createDataFrame([row[:2] for row in DOWNLOADS], "status string, error_message string")
    found = rows.withColumn("reason", first_reason(download_rules())).collect()
    return {(row["status"], row["error_message"]): row["reason"] for row in found}


@pytest.mark.parametrize("status, message, reason", DOWNLOADS)
def test_download(download_reasons, status, message, reason):
    assert download_reasons[status, message] == reason


LIMITS = ImageLimits(min_side=100, max_aspect=3.0)
# Sides of at least 100 pixels and an aspect of at most 3 pass.
IMAGES = [
    (100, 100, None),
    (640, 480, None),
    (99, 100, "image_too_small"),
    (640, 99, "image_too_small"),
    (1, 1000, "image_too_small"),
    (300, 100, None),
    (301, 100, "image_bad_aspect"),
    (100, 301, "image_bad_aspect"),
    (None, None, None),
]


@pytest.fixture(scope="module")
def image_reasons(spark) -> dict:
    """Reasons by width and height, all found in one job."""
    rows = spark.createDataFrame([row[:2] for row in IMAGES], "width int, height int")
    found = rows.withColumn("reason", first_reason(image_rules(LIMITS))).collect()
    return {(row["width"], row["height"]): row["reason"] for row in found}


@pytest.mark.parametrize("width, height, reason", IMAGES)
def test_image(image_reasons, width, height, reason):
    assert image_reasons[width, height] == reason


def test_duplicate(spark):
    rows = spark.createDataFrame([(1,), (2,), (None,)], "copy int")
    found = rows.withColumn("reason", first_reason(duplicate_rules())).collect()
    assert found == [Row(1, None), Row(2, "duplicate_image"), Row(None, None)]


def test_the_first_rule_that_holds_gives_the_reason(spark):
    rules = [*image_rules(LIMITS), *duplicate_rules()]
    rows = spark.createDataFrame(
        [(50, 500, 2), (100, 500, 2), (100, 100, 2)], "width int, height int, copy int"
    )
    reasons = [row["reason"] for row in rows.withColumn("reason", first_reason(rules)).collect()]
    assert reasons == ["image_too_small", "image_bad_aspect", "duplicate_image"]
