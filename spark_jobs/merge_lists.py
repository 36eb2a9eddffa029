"""The Spark job before the crawl: judge each row of the URL lists, merge rows of one URL, count.

Rows are read and judged once, kept on the executors' disks, and never brought to the driver. What is written
depends on the lists alone, not on the master: a URL's file follows from its hash, and so does its row, which
spreads the URLs of one host over all shards.

Left out on purpose: near-duplicate URLs (other parameters, http against https); such images are found by
their content later.
"""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from spark_jobs.clean_captions import cleaned, stripped
from spark_jobs.rules import LANGUAGES, first_reason
from spark_jobs.url_lists import FIELDS, ListPart, naming_unreadable_files, read_lists

MAX_URL_CHARS = 2048
# http or https, a host that is a name or an address in brackets, perhaps a port; no credentials, no control
# character or end of a line anywhere, and no backslash in the host, which parsers read in two ways.
GOOD_URL = r"\A(?i)https?://(\[[0-9a-f:.]+\]|[^\s\p{Cc}\p{Z}/?#:@\[\]\\]+)(:\d{0,5})?([/?][^\p{Cc}\p{Zl}\p{Zp}\uffff]*)?\z"
# Of the lists as they lie on disk. A file of URLs is one task's work here, and is read whole by the crawler.
BYTES_PER_FILE = 64 << 20

CaptionReason = Callable[[str], Column]


def normalised_url() -> Column:
    """The URL without white space around it and without its fragment, which no server sees."""
    return F.substring_index(stripped("url"), "#", 1)


def row_rules() -> list[tuple[str, Column]]:
    """Why a row cannot be crawled, whatever its captions say."""
    # Nothing searches a URL that is too long already.
    bad = F.when(F.length("url") > MAX_URL_CHARS, True).otherwise(~F.col("url").rlike(GOOD_URL))
    no_caption = F.coalesce(*LANGUAGES).isNull()
    return [
        ("malformed_row", F.col("malformed")),
        ("no_url", F.col("url").isNull()),
        ("bad_url", bad),
        ("no_caption", no_caption),
    ]


def judge(rows: DataFrame, caption_reason: CaptionReason) -> DataFrame:
    """Adds `zh_reason`, `en_reason` and `reason`: a row goes with its last caption."""
    values = {"url": normalised_url(), **{lang: cleaned(lang) for lang in LANGUAGES}}
    rows = rows.withColumns({name: F.nullif(value, F.lit("")) for name, value in values.items()})
    found = {f"{lang}_reason": F.when(F.col(lang).isNotNull(), caption_reason(lang)) for lang in LANGUAGES}
    rows = rows.withColumns(found)
    left = [F.when(F.col(f"{lang}_reason").isNull(), F.col(lang)) for lang in LANGUAGES]
    last_caption = F.when(F.coalesce(*left).isNull(), F.coalesce(*found))
    return rows.withColumn("reason", F.coalesce(first_reason(row_rules()), last_caption)).drop("malformed")


def merge(judged: DataFrame, num_files: int) -> DataFrame:
    """One row a URL, in `num_files` partitions, in an order that depends on the URLs alone."""
    good = judged.where("reason is null").repartition(num_files, "url")
    merged = good.groupBy("url").agg(*[_best_caption(lang).alias(lang) for lang in LANGUAGES])
    return merged.sortWithinPartitions(F.xxhash64("url"), "url")


def _best_caption(lang: str) -> Column:
    """Of a URL's captions in a language that of the first list, there the longest, then the first of all."""
    usable = F.col(lang).isNotNull() & F.col(f"{lang}_reason").isNull()
    ranked = F.struct("list", (-F.length(lang)).alias("shortness"), F.col(lang))
    return F.min(F.when(usable, ranked)).getField(lang)


def dropped_rows(judged: DataFrame, names: tuple[str, ...]) -> DataFrame:
    """Each dropped row with its reason, and each caption that a kept row lost, alone with its own."""
    whole = F.struct(*LANGUAGES, "reason")
    lost = [
        F.struct(
            *[(F.col(lang) if lang == own else F.lit(None).cast("string")).alias(lang) for lang in LANGUAGES],
            F.col(f"{own}_reason").alias("reason"),
        )
        for own in LANGUAGES
    ]
    found = F.when(F.col("reason").isNotNull(), F.array(whole)).otherwise(F.array(*lost))
    name = F.element_at(F.array(*map(F.lit, names)), F.col("list") + 1)
    rows = judged.select("url", name.alias("list"), "line", F.inline(found)).where("reason is not null")
    return rows.select(*FIELDS, "list", "reason", "line")


def count_rows(judged: DataFrame, names: tuple[str, ...]) -> dict:
    """How many rows there are by list and by reason; only counts come to the driver."""
    reasons = ["reason", *(f"{lang}_reason" for lang in LANGUAGES)]
    counts = judged.groupBy("list", *reasons).count().collect()
    lists, dropped, lost = Counter(dict.fromkeys(names, 0)), Counter(), Counter()
    for row in counts:
        lists[names[row["list"]]] += row["count"]
        if row["reason"]:
            dropped[row["reason"]] += row["count"]
            continue
        lost.update({row[name]: row["count"] for name in reasons[1:] if row[name]})
    return {
        "rows": lists.total(),
        "dropped": dict(dropped.most_common()),
        "captions_dropped": dict(lost.most_common()),
        "lists": dict(lists),
    }


def merge_lists(
    spark: SparkSession,
    lists: list[list[ListPart]],
    names: tuple[str, ...],
    caption_reason: CaptionReason,
    place: Path,
) -> dict:
    """Write `urls/` (url, zh, en) and `lists_dropped/` (url, zh, en, list, reason, line); returns counts.

    Args:
        names: of the lists, for people.
        caption_reason: for a language's column, why a caption is dropped, null where it is kept.

    Raises:
        UnreadableFile: Spark could not read a file.
    """
    num_bytes = sum(Path(file).stat().st_size for parts in lists for part in parts for file in part.files)
    with naming_unreadable_files():
        judged = judge(read_lists(spark, lists), caption_reason).persist(StorageLevel.DISK_ONLY)
        facts = count_rows(judged, names)
    captions, counted = Observation(), [F.count(lang).alias(lang) for lang in LANGUAGES]
    merged = merge(judged, max(1, math.ceil(num_bytes / BYTES_PER_FILE)))
    merged = merged.observe(captions, F.count(F.lit(1)).alias("urls"), *counted)
    merged.write.mode("overwrite").parquet(str(place / "urls"))
    dropped_rows(judged, names).write.mode("overwrite").parquet(str(place / "lists_dropped"))
    judged.unpersist()
    urls, *captions = (captions.get[name] for name in ("urls", *LANGUAGES))
    joined = facts["rows"] - sum(facts["dropped"].values()) - urls
    facts |= {"urls": urls, "captions": dict(zip(LANGUAGES, captions, strict=True)), "joined_by_url": joined}
    return facts
