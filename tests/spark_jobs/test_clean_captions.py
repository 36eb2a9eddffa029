"""What pages and exports leave in captions is undone; what only looks like it stays."""

import html
from html.entities import html5

import pytest
from pyspark.sql import functions as F

from spark_jobs.clean_captions import MAX_CHARS, cleaned
from tests.benchmarks import pandas_rules

CAPTIONS = [
    # Entities: named, decimal, hexadecimal, encoded again, without a semicolon, of Windows.
    ("Tom &amp; Jerry", "Tom & Jerry"),
    ("&#29483;", "猫"),
    ("&#x732b;&#X732B;&#0029483;", "猫猫猫"),
    ("&quot;a cat&quot; &apos;b&apos; &lsquo;c&rsquo;", "\"a cat\" 'b' ‘c’"),
    ("caf&eacute; &hearts;&check; &CounterClockwiseContourIntegral;", "café ♥✓ ∳"),
    ("Tom &amp;amp; Jerry", "Tom & Jerry"),
    ("&amp;amp;amp;amp;amp;lt;3", "<3"),
    ("&amp;#29483; &amp;#x732b; &#38;#29483;", "猫 猫 猫"),
    ("Tom &amp Jerry, caf&eacute, &copy2010 &notit;", "Tom & Jerry, café, ©2010 ¬it;"),
    ("1990&#150;2000 &#147;cat&#148;", "1990–2000 “cat”"),
    ("a&nbsp;cat&#160;on&emsp;a&ensp;sofa&#8203;", "a cat on a sofa"),
    ("soft&shy;hyphen", "softhyphen"),
    ("&#128049;&#x200D;&#x2764;&#xFE0F;", "🐱\u200d❤️"),
    ("AT&T, R&D; Q&A, a & b &", "AT&T, R&D; Q&A, a & b &"),
    ("&#; &#x; &; &foo; &#12345678;", "&#; &#x; &; &foo; &#12345678;"),
    ("&#0;&#xD800;&#x110000;", "\ufffd\ufffd\ufffd"),
    # Tags, comments, and what is between them.
    ("<b>Tom</b> and <I class='x'>Jerry</I>", "Tom and Jerry"),
    ("红<em>苹果</em>", "红苹果"),
    ("a cat<br>on<BR/>a<br />sofa", "a cat on a sofa"),
    ("<p>a cat</p><p>on a sofa</p>", "a cat on a sofa"),
    ('<a href="http://a.cn/?x=1&amp;y=2" target=_blank>a cat</a>', "a cat"),
    ('<img src="1.png" alt="5 > 3" disabled>a cat', "a cat"),
    ("<img alt=\"5 &gt; 3\" title='&quot;x&quot;'/>a cat", "a cat"),
    ("&lt;b&gt;Tom&lt;/b&gt; &amp;lt;i&amp;gt;Jerry&amp;lt;/i&amp;gt;", "Tom Jerry"),
    ("<script>if (a < b) { x(); }</script>a cat", "a cat"),
    ("a<STYLE type='x'>.a > .b {}</style >cat", "a cat"),
    ("<script src=x.js async></script>a cat<script>never ends", "a cat"),
    ("a <!-- no --> cat<!-->-->", "a cat"),
    ("a cat<!-- never ends", "a cat"),
    ("<![CDATA[a <b>cat</b>]]> sleeps", "a cat sleeps"),
    ("<!DOCTYPE html><html><body>a cat</body></html>", "a cat"),
    ("<?xml version='1.0'?><o:p></o:p>a <my-tag>cat</my-tag>", "a cat"),
    ("<div><ul><li>红</li><li>苹果</li></ul></div>", "红 苹果"),
    ("I <3 cats", "I <3 cats"),
    ("I &lt;3 cats", "I <3 cats"),
    ("a < b and c > d", "a < b and c > d"),
    ("a<b and c>d", "a<b and c>d"),
    ("x <= 5, y >= 3, -> <- <-> <>", "x <= 5, y >= 3, -> <- <-> <>"),
    ("<PERSON> walks, <人名>在走", "<PERSON> walks, <人名>在走"),
    ("<user@example.com>", "<user@example.com>"),
    ("a cat <", "a cat <"),
    # White space, what cannot be seen, other widths.
    ("  a \t cat\r\n\u3000on\u2028a\u2029sofa\x85\x0b\x0c ", "a cat on a sofa"),
    ("a c\x00at\uffff on\ufeff a so\u200bfa\x1b\u202e", "a cat on a sofa"),
    ("电话：１３８００１３８０００", "电话：13800138000"),
    ("ＱＱ：１２３４５，ｗｗｗ．ａ．ｃｎ，ａ＠ｂ．ｃｎ", "QQ：12345，www.a.cn，a@b.cn"),
    ("＋８６－１０（北京）！", "+86-10（北京）！"),
    ("٣ ۴ ५ ๖ 𝟕 𝐜𝐚𝐭", "3 4 5 6 7 cat"),
    ("👨\u200d👩\u200d👧 👍🏽 ❤️ 1️⃣ 🏴󠁧󠁢󠁳󠁣󠁴󠁿", "👨\u200d👩\u200d👧 👍🏽 ❤️ 1️⃣ 🏴󠁧󠁢󠁳󠁣󠁴󠁿"),
    ("一只猫，在沙发上。", "一只猫，在沙发上。"),
    ("a cat", "a cat"),
    ("<p></p>", ""),
    ("", ""),
    (None, None),
    ("&amp;" * MAX_CHARS, "&amp;" * MAX_CHARS),
]
NAMED = [f"x&{name}y" for name in html5]


@pytest.fixture(scope="module")
def found(spark) -> dict[str | None, tuple[str, str]]:
    """Of each caption, itself cleaned once and twice, all in one job."""
    texts = [*(text for text, _ in CAPTIONS), *NAMED]
    rows = spark.createDataFrame([(text, text) for text in texts], "raw string, en string").coalesce(1)
    once = rows.withColumn("en", cleaned("en")).withColumn("once", F.col("en"))
    twice = once.withColumn("en", cleaned("en"))
    return {row["raw"]: (row["once"], row["en"]) for row in twice.collect()}


@pytest.mark.parametrize("caption, expected", CAPTIONS, ids=range(len(CAPTIONS)))
def test_a_caption_is_what_people_would_see(found, caption, expected):
    assert found[caption][0] == expected


def test_a_clean_caption_stays_as_it_is(found):
    assert [texts for texts in found.values() if texts[0] != texts[1]] == []


def test_every_name_of_html_is_known(found):
    # What it stands for may be white space or nothing to see.
    assert [text for text in NAMED if found[text][0] != pandas_rules.cleaned(html.unescape(text))] == []


@pytest.mark.parametrize("caption, expected", CAPTIONS[:-1], ids=range(len(CAPTIONS) - 1))
def test_the_reference_agrees(caption, expected):
    if caption not in ("&#; &#x; &; &foo; &#12345678;", "&#0;&#xD800;&#x110000;"):
        assert pandas_rules.cleaned(caption) == expected


HOSTILE = [
    "<",
    "&",
    "&a;",
    "<!--",
    "<script ",
    '<b a="',
    "<b a='<b a=\"",
    "<a b=c ",
    "&amp;",
    "&#38;",
    "<![CDATA[",
]
HOSTILE += ["<b>", "<x-a", " \t", "<!doctype ", "&#x", "<b a=b a=b ", "</"]


def test_no_caption_takes_long(spark):
    """What is searched again from each place would take minutes here."""
    texts = [(piece * (MAX_CHARS // len(piece)),) for piece in HOSTILE]
    texts += [("<b" + " a=b" * 2_400,), ("<b" + " " * 9_000,), ("<x-" + "a-" * 4_000,)]
    rows = spark.createDataFrame(texts, "en string").coalesce(1)
    assert rows.select(F.max(F.length(cleaned("en")))).first() is not None
