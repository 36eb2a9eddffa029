"""The thresholds of the filter rules, as a recipe writes them. A module of its own, without Spark."""

from dataclasses import dataclass

# An image that is seen under more captions than this is no picture of anything.
MAX_CAPTIONS_LIMIT = 10_000


@dataclass(frozen=True)
class WordList:
    """A text file below the storage root, one word or phrase a line; `content` is its fingerprint."""

    path: str
    content: str = ""


@dataclass(frozen=True)
class CaptionLimits:
    """What a caption in one language may be; spark_jobs/README.md names the source of each default.

    A Chinese character is a word, and so is a run of other letters or digits. `max_repeats` counts one
    caption over the whole data set, 0 means no limit. A caption that a model gives to another language with
    a probability above `max_foreign_score` goes; 1 asks no model.
    """

    min_chars: int
    max_chars: int
    min_words: int
    max_words: int
    max_repeats: int = 10
    max_foreign_score: float = 1.0
    allow_contacts: bool = False
    allow_file_names: bool = False
    allow_boilerplate: bool = False
    sensitive_words: WordList | None = None


@dataclass(frozen=True)
class ImageLimits:
    """What an image as stored may be: sides in pixels, longer side over the shorter, bytes, grey values.

    `min_sigma` is the standard deviation of the grey values (0 to 255), `min_entropy` that of their
    histogram in bits (0 to 8). With these two and `min_bytes` at 0, no image is opened. A content that came
    under more than `max_captions` different captions is a placeholder; 0 means no limit.
    """

    min_side: int = 200
    max_aspect: float = 3.0
    min_bytes: int = 2_000
    min_sigma: float = 2.0
    min_entropy: float = 3.0
    max_captions: int = 10

    def __post_init__(self):
        if not 0 <= self.max_captions <= MAX_CAPTIONS_LIMIT:
            raise ValueError(
                f"max_captions {self.max_captions}: give 1 to {MAX_CAPTIONS_LIMIT:,}, or 0 for no limit"
            )


CHINESE = CaptionLimits(min_chars=5, max_chars=50, min_words=5, max_words=60)
ENGLISH = CaptionLimits(min_chars=6, max_chars=1_000, min_words=3, max_words=256)
IMAGE = ImageLimits()
# Before a crawl: what no filter would keep. Lengths are loose, for a changed threshold means another crawl.
BEFORE_CRAWL = CaptionLimits(min_chars=1, max_chars=1_000, min_words=1, max_words=256, max_repeats=0)
