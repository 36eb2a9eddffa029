"""URL lists: what a recipe says of them, and the step that merges them before anything is downloaded.

A list is one file, a folder, or a pattern; its layout says which columns hold what, by a name from PRESETS or
in full. How lists are read and judged is Spark's work (spark_jobs.url_lists, spark_jobs.merge_lists).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.step import StepError
from infra.console import say
from infra.store import read_json, write_json

if TYPE_CHECKING:
    from components.download_pairs import DownloadPairs

MERGED = "lists.json"


@dataclass(frozen=True)
class Layout:
    """Which columns of a list hold the URL and the captions; a language without a column is not there.

    Attributes:
        names: the columns in order, for CSV and TSV without a header line.
        format: csv, tsv, jsonl or parquet; by each file's suffix when empty, before .gz or .zst.
        quoted: whether fields may stand in double quotes; by default in CSV and not in TSV.
        escape: the character before a quote inside quotes, a backslash in what Spark writes; by default such
        a
            quote is doubled.
    """

    url: str = "url"
    zh: str = ""
    en: str = ""
    names: tuple[str, ...] = ()
    format: str = ""
    quoted: bool | None = None
    escape: str = ""

    def __post_init__(self):
        if self.escape and (len(self.escape) > 1 or self.escape.isalnum() or self.escape in '",\t\r\n '):
            raise ValueError(
                f"escape {self.escape!r} must be one sign such as a backslash, no quote or separator"
            )


PRESETS = {
    "zh": Layout(zh="caption"),
    "en": Layout(en="caption"),
    "zh-en": Layout(zh="zh", en="en"),
    "wukong": Layout(zh="caption"),
    "cc3m": Layout(en="caption", names=("caption", "url")),
    "cc12m": Layout(en="caption", names=("url", "caption")),
    "laion": Layout(url="URL", en="TEXT"),
}


@dataclass(frozen=True)
class UrlList:
    """A list of (URL, captions): a file, a folder with all below it, or a pattern such as `lists/*.csv`.

    Where two lists have a caption of one language for one URL, the list that comes first in the recipe wins.
    `name` stands for the list in reports; by default it is the last part of the path that is no pattern.
    `licence` is what the data card repeats of the list's terms.
    `content` is the files' fingerprint, filled in when the recipe is resolved.
    """

    path: str
    layout: Layout | str = "zh-en"
    name: str = ""
    licence: str = ""
    content: str = ""

    def __post_init__(self):
        if isinstance(self.layout, str) and self.layout not in PRESETS:
            known = ", ".join(PRESETS)
            raise ValueError(
                f"{self.path}: no layout {self.layout!r}; choose one of {known}, or give columns"
            )
        if not self.columns.zh and not self.columns.en:
            raise ValueError(f"{self.path}: the layout names no column with captions; give zh, en or both")

    @property
    def columns(self) -> Layout:
        """The layout in full."""
        return PRESETS[self.layout] if isinstance(self.layout, str) else self.layout


def list_names(lists: tuple[UrlList, ...]) -> tuple[str, ...]:
    """A name for each list, the whole path where a shorter name would not be the only one."""
    short = [source.name or _plain_part(source.path) for source in lists]
    return tuple(
        name if short.count(name) == 1 else source.path for name, source in zip(short, lists, strict=True)
    )


def _plain_part(path: str) -> str:
    """The last part of a path without a wildcard."""
    return next((part for part in reversed(Path(path).parts) if not set(part) & set("*?[")), path)


def merge_url_lists(config: "DownloadPairs", place: Path, engines: dict) -> dict:
    """Write `urls/` and `lists_dropped/`, once: a rerun at the same place finds them done.

    Raises:
        StepError: a list cannot be read, or no row is left to crawl.
    """
    if not (place / MERGED).exists():
        write_json(place / MERGED, _merge(config, place, engines["spark_master"]))
    facts = read_json(place / MERGED)
    dropped = "".join(f", {count} {reason}" for reason, count in facts["dropped"].items())
    say("download_pairs", f"{facts['rows']} rows, {facts['urls']} URLs to crawl{dropped}")
    return facts


def _merge(config: "DownloadPairs", place: Path, master: str) -> dict:
    """The Spark job over all lists."""
    from components.list_files import look_at
    from spark_jobs.merge_lists import merge_lists
    from spark_jobs.rules import caption_reason
    from spark_jobs.session import is_short, spark_session
    from spark_jobs.url_lists import UnreadableFile

    if not config.lists:
        raise StepError("the recipe names no URL list; give download_pairs.lists")
    lists = [look_at(source) for source in config.lists]
    names = list_names(config.lists)
    limits = {"zh": config.zh, "en": config.en}
    short_job = is_short(Path(file) for parts in lists for part in parts for file in part.files)
    try:
        with spark_session("url_lists", master, short_job=short_job) as spark:
            facts = merge_lists(spark, lists, names, lambda lang: caption_reason(lang, limits[lang]), place)
    except UnreadableFile as error:
        raise StepError(f"cannot read the URL list {error}") from error
    if not facts["urls"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in facts["dropped"].items())
        raise StepError(
            f"no row of the URL lists has both a URL and a caption: {reasons or 'they are empty'}"
        )
    return facts
