"""Captions as people would see them: what web pages leave in them is undone before any rule looks.

Entities become their characters, twice encoded ones too; tags, comments, scripts and styles go; white space
of any kind is one space; what cannot be seen is not there; full-width letters and digits, and the digits of
all scripts, are those of ASCII. `<3` and `a < b` stay, and so do names in brackets that are no tags
(`<PERSON>`, `<人名>`).

Native columns, and one search finds the captions that need any of it. Those with markup cross into Python,
whose library knows all entities of HTML: as native columns these made a plan of 600 kB, and 12 seconds of a
CPU in each job before its first row. Cleaning a clean caption changes nothing, so both jobs do it.

Left out on purpose: tags of unknown names, and what longer captions than MAX_CHARS have (they are too long
for every rule, and strangers could make them expensive).
"""

import html
import re
import sys
import unicodedata
from functools import cache

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_jobs.caption_udfs import mapped

MAX_CHARS = 10_000
# Code points rather than names of scripts: Java looks a name up for each character, ten times as slow.
SPACES = "".join(map(chr, [*range(0x21), *range(0x7F, 0xA1), 0x1680, *range(0x2000, 0x200C)])) + (
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# Controls, marks of direction, characters of no width, no characters. Joiners stay: emoji need them.
UNSEEN = (
    r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    r"\ufdd0-\ufdef\ufeff\ufffe\uffff"
)
# Full-width signs of addresses and numbers; the punctuation of Chinese sentences stays.
WIDE_SIGNS = "#%+-./@_"
WIDE = r"\uff03\uff05\uff0b\uff0d-\uff19\uff20-\uff3a\uff3f\uff41-\uff5a"
# Letters and digits of mathematics, as posts use them in place of bold and italic ones.
FANCY = r"\x{1d400}-\x{1d7ff}"
# A space alone is not odd; two are looked for apart.
ODD = rf"[&<{SPACE.replace(chr(92) + 'x20', chr(92) + 'x1f')}{UNSEEN}{WIDE}{FANCY}]|[\p{{Nd}}&&[^0-9]]"

BLOCKS = (
    "address article aside blockquote body br button canvas caption center col colgroup dd details dialog "
    "dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head "
    "header hgroup hr html iframe img input legend li link main map menu meta nav noframes noscript object "
    "ol optgroup option p param picture pre search section select source summary svg table tbody td "
    "template textarea tfoot th thead title tr track ul video"
)
INLINES = (
    "a abbr acronym applet area audio b base basefont bdi bdo big cite code data datalist del dfn em font i "
    "ins kbd label mark marquee meter nobr output progress q rp rt ruby s samp slot small span strike "
    "strong sub sup time tt u var wbr"
)
FLAGS = (
    "async autoplay checked compact controls defer disabled hidden ismap loop multiple muted nowrap "
    "readonly required reversed selected"
)
_FLAG = "|".join(FLAGS.split())
_ATTRIBUTE = (
    r"(?:[a-z_:@][a-z0-9_:.@-]{0,99}\s{0,9}=\s{0,9}"
    rf"""(?:"[^"]{{0,4000}}"|'[^']{{0,4000}}'|[^\s"'<>]{{1,4000}})|(?:{_FLAG})(?=[\s/>]))"""
)


def _tag(names: str) -> str:
    """A tag of one of these names; attributes are bounded, so that no caption takes long."""
    return rf"(?i)</?(?:{names})(?:\s{{1,9}}{_ATTRIBUTE}){{0,50}}\s{{0,9}}/?>"


# In this order: what has no text, what marks text, what stands between texts, what stands within a word. What
# is opened and never closed reaches to the end, so that no place is searched twice.
MARKUP = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"(?is)<(script|style)(?=[\s/>]).*?(?:</\1\s{0,9}>|\Z)", " "),
        (r"(?is)<!--.*?(?:-->|\Z)|<!doctype[^<>]{0,400}>|<\?xml[^<>]{0,400}>", ""),
        (r"(?s)<!\[CDATA\[(.*?)(?:\]\]>|\Z)", r"\1"),
        (_tag("|".join(BLOCKS.split())), " "),
        (
            _tag("|".join(INLINES.split()) + r"|[a-z][a-z0-9]{0,30}-[a-z0-9-]{1,30}|[a-z]{1,9}:[a-z]{1,30}"),
            "",
        ),
    )
)
# An ampersand that was encoded again and again is one.
AMPERSANDS = re.compile(r"&(?:amp;)++")
# A number of more digits than a character has is none.
ENTITY = re.compile(
    r"&(?:#[xX]0*[0-9a-fA-F]{1,6}(?![0-9a-fA-F]);?|#0*[0-9]{1,7}(?![0-9]);?|[A-Za-z][A-Za-z0-9]{1,31};?)"
)


@cache
def folds() -> dict[str, str]:
    """The characters that are written as one of ASCII; found once, and not by workers, who need none."""
    wide = {chr(ord(char) + 0xFEE0): char for char in map(chr, range(0x21, 0x7F)) if char.isalnum()}
    wide |= {chr(ord(char) + 0xFEE0): char for char in WIDE_SIGNS}
    fancy = {chr(code): unicodedata.normalize("NFKC", chr(code)) for code in range(0x1D400, 0x1D800)}
    digits = {
        char: str(unicodedata.decimal(char))
        for char in map(chr, range(0x80, sys.maxunicode))
        if unicodedata.category(char) == "Nd"
    }
    return {
        char: text for char, text in (wide | fancy | digits).items() if text.isascii() and char not in text
    }


def stripped(column: str | Column) -> Column:
    """Text without white space around it, ideographic spaces included."""
    return F.btrim(column, F.lit(SPACES))


def cleaned(column: str) -> Column:
    """The caption in a column as it is judged, written and trained on."""
    text = F.col(column)
    odd = (F.length(text) <= MAX_CHARS) & (text.contains("  ") | text.rlike(ODD))
    return stripped(F.when(odd, _cleaned(text)).otherwise(text))


def _cleaned(text: Column) -> Column:
    marked = text.contains("<") | text.contains("&")
    # Only what is marked crosses into Python: the rest is null there.
    seen = F.coalesce(mapped(lambda: read_markup, "string")(F.when(marked, text)), text)
    seen = F.translate(seen, "".join(folds()), "".join(folds().values()))
    return F.regexp_replace(F.regexp_replace(seen, f"[{UNSEEN}]+", ""), f"[{SPACE}]+", " ")


def read_markup(caption: str) -> str:
    """The text of a caption with tags and entities, which may be encoded twice; too long ones stay."""
    if len(caption) > MAX_CHARS:
        return caption
    return without_markup(unescaped(unescaped(without_markup(caption))))


def without_markup(caption: str) -> str:
    """The caption without tags and what they hide."""
    for pattern, instead in MARKUP:
        caption = pattern.sub(instead, caption)
    return caption


def unescaped(caption: str) -> str:
    """Entities as HTML reads them."""
    return ENTITY.sub(lambda found: html.unescape(found[0]), AMPERSANDS.sub("&", caption))
