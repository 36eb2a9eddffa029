"""The exported pair in headless Chromium: the same bytes, the same tokens, the same answers as in Python."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_training import COLOURS, HAN, SIDE, noise, png

from tests.browser import PageError
from training.onnx_pair import OnnxEncoder

LABELS = [*COLOURS, *HAN.values(), "a red picture", "红色的图片", "mixed 红 and green", "a red picture " * 9]
SIZES = [(1, 1), (1, 5), (3, 1), (31, 33), (SIDE, SIDE), (50, 41), (200, 7), (64, 96), (64, 97), (333, 501)]
TEXTS = [
    *LABELS,
    "Ein GROSSES Bild, naïve café",
    "ÄÖÜ ß İstanbul ǅ ﬁ ΑΣ",
    "tabs\tand\nlines\u3000wide space\u00a0none",
    "，。！？【】「」…—～￥％",
    "a-b_c'd\"e#f@g[h]{i}^j`k~l|m$n+o<p=q>r",
    "[CLS] red [SEP] [MASK] [pad] [PAD]x",
    "龘龖红龘色",
    "ｆｕｌｌｗｉｄｔｈ １２３",
    "한국어 ひらがな カタカナ",
    "🍋🏽‍♂️ 👩‍👩‍👧 e\u0301 zero\u200bwidth\ufeff",
    "control\x01\x7f\x80\x85 end",
    "𠀀𪚥 rare Han",
    "123456 0x1F 3.14",
    " ",
]
IMPORTS = {
    "classifier": "const { createClassifier } = await import('/classifier.js');",
    "pixels": "const { resize, decode } = await import('/pixels.js');",
    "tokens": "const { makeTokenizer } = await import('/tokens.js');",
}


@pytest.fixture(scope="module")
def page(site, served, browser):
    """The browser on the page, its model loaded."""
    browser.open(served(site))
    browser.wait("document.body.dataset.ready")
    return browser


@pytest.fixture(scope="module")
def run(page):
    """Runs a script's text in the page as the body of an async function."""
    return lambda part, script: page.run(f"(async () => {{ {IMPORTS[part]} {script} }})()")


@pytest.fixture(scope="module")
def classify(run, site):
    """Asks the browser; gives scores in the order of the labels."""

    def ask(body: bytes, labels: list[str], precision: str = "int8") -> list[float]:
        (site / "asked.png").write_bytes(body)
        script = f"""
            const classifier = await createClassifier('model/', {{ precision: {json.dumps(precision)} }});
            const file = await (await fetch('/asked.png', {{ cache: 'no-store' }})).blob();
            const found = await classifier.classify(file, {json.dumps(labels)});
            await classifier.dispose();
            return found.map(({{ score }}) => score);
        """
        return run("classifier", script)

    return ask


def probabilities(export, trained, image: Image.Image, labels: list[str], int8: bool) -> np.ndarray:
    """What onnxruntime answers in Python."""
    encoder = OnnxEncoder(export, trained, int8)
    scale = json.loads((export / "onnx.json").read_text())["scale"]
    logits = scale * encoder.embed_texts(labels) @ encoder.embed_images([image])[0]
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("size", [(50, 41), (1, 1), (300, 200)])
def test_the_browser_answers_as_python_does(classify, export, trained, precision, size):
    image = noise(5, size)
    # Rounded to other int8 levels by other kernels, a logit moves by a little.
    tolerance = 1e-4 if precision == "fp32" else 5e-3
    assert classify(png(image), LABELS, precision) == pytest.approx(
        probabilities(export, trained, image, LABELS, precision == "int8"), abs=tolerance
    )


def test_the_browser_answers_as_the_example_does(classify, export, tmp_path):
    noise(6).save(tmp_path / "picture.png")
    labels = ["red", "蓝", "a green picture"]
    command = [sys.executable, export / "try_onnx.py", tmp_path / "picture.png", *labels]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = dict(line.strip().split("%  ")[::-1] for line in printed.splitlines())
    found = classify((tmp_path / "picture.png").read_bytes(), labels, "fp32")
    assert [100 * score for score in found] == pytest.approx(
        [float(expected[label]) for label in labels], abs=0.06
    )


def test_transparent_parts_are_white(classify):
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    white = Image.new("RGB", (40, 40), "white")
    assert classify(png(picture), LABELS) == pytest.approx(classify(png(white), LABELS), abs=1e-6)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_picture_is_resized_to_the_byte_as_pillow_does(run, site, size):
    image = noise(1, size)
    (site / "asked.png").write_bytes(png(image))
    found = run(
        "pixels",
        f"""
        const file = await (await fetch('/asked.png', {{ cache: 'no-store' }})).blob();
        return Array.from(resize(await decode(file), {SIDE}, {SIDE}).data);
        """,
    )
    expected = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16)
    differences = np.array(found).reshape(SIDE, SIDE, 4)[..., :3] - expected
    assert np.unique(differences).tolist() == [0]


@pytest.mark.parametrize("max_tokens", [16, 200])
def test_texts_have_the_tokens_that_python_gives_them(run, trained, max_tokens):
    script = f"""
        const json = await (await fetch('/model/student/tokenizer.json')).json();
        const tokenize = makeTokenizer(json, {max_tokens});
        const {{ ids, mask, length }} = tokenize({json.dumps(TEXTS)});
        return {{ ids: Array.from(ids, Number), mask: Array.from(mask, Number), length }};
    """
    found = run("tokens", script)
    tokens = trained.tokenizer(
        TEXTS, padding=True, truncation=True, max_length=max_tokens, return_tensors="np"
    )
    for name, key in (("ids", "input_ids"), ("mask", "attention_mask")):
        rows = np.array(found[name]).reshape(len(TEXTS), found["length"])
        differing = [
            text
            for text, ours, theirs in zip(TEXTS, rows, tokens[key], strict=True)
            if list(ours) != list(theirs)
        ]
        assert differing == []


def test_labels_asked_before_are_not_asked_again(run):
    script = """
        const classifier = await createClassifier('model/');
        const asked = [];
        const inner = classifier.tokenize;
        classifier.tokenize = (texts) => (asked.push(...texts), inner(texts));
        const first = await classifier.embedTexts(['red', '红', 'red']);
        const second = await classifier.embedTexts(['红', 'blue']);
        return { asked, same: first[1] === second[0], number: first.length };
    """
    assert run("classifier", script) == {"asked": ["red", "红", "blue"], "same": True, "number": 3}


def test_progress_grows_to_the_whole(run):
    script = """
        const shares = [];
        await createClassifier('model/', { onProgress: (share) => shares.push(share) });
        return shares;
    """
    shares = run("classifier", script)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def huge() -> bytes:
    return png(Image.new("1", (10_000, 10_000)))


@pytest.mark.parametrize(
    "body, labels, message",
    [
        (png(noise(0)), [], "there are no labels to choose from"),
        (png(noise(0)), ["red"] * 10_000, "10000 labels are too many, at most 1000"),
        (png(noise(0)), ["red", " "], "each label must be a text that is not empty"),
        (b"no picture", ["red"], "this is no picture that the browser can read"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            ["red"],
            "this is no picture that the browser can read",
        ),
        (huge(), ["red"], "10000 x 10000 pixels are too many"),
    ],
    ids=["none", "ten_thousand", "empty", "text", "svg", "hundred_megapixels"],
)
def test_what_cannot_be_answered_is_told(classify, body, labels, message):
    with pytest.raises(PageError, match=message):
        classify(body, labels)


def test_a_thousand_labels_of_both_languages_are_answered(classify):
    labels = [f"red {number}" if number % 2 else f"红色 {number}" for number in range(1_000)]
    scores = classify(png(noise(0)), labels)
    assert len(scores) == 1_000
    assert sum(scores) == pytest.approx(1)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("onnx.json", None, "cannot fetch .*onnx.json: 404"),
        ("onnx.json", b"<html>", "is no JSON"),
        ("onnx.json", b'{"mean": [0.5]}', "onnx.json lacks"),
        ("image.int8.onnx", None, "cannot fetch .*image.int8.onnx: 404"),
        ("image.int8.onnx", b"\x08\x07", "the image tower is no model"),
        ("text.int8.onnx", "half", "the text tower is no model"),
    ],
)
def test_a_broken_model_folder_is_told(run, site, name, content, message):
    # A folder each: browsers keep what they have fetched.
    folder = Path(tempfile.mkdtemp(dir=site))
    shutil.copytree(site / "model", folder, dirs_exist_ok=True)
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(PageError, match=message):
        run("classifier", f"await createClassifier('{folder.name}/');")


def test_an_unknown_precision_is_told(run):
    with pytest.raises(PageError, match='precision is "int8" or "fp32"'):
        run("classifier", "await createClassifier('model/', { precision: 'int4' });")


def test_a_person_drops_a_picture_and_edits_labels(page, tmp_path):
    noise(2).save(tmp_path / "picture.png")
    page.give_file("#picture", tmp_path / "picture.png")
    page.wait("document.querySelectorAll('#answers li').length === 6")
    assert "6 labels in" in page.text()
    page.run("labels.value = '红\\nred\\n\\nred'; labels.dispatchEvent(new Event('input'))")
    page.wait("document.querySelectorAll('#answers li').length === 2")
    page.run("labels.value = ''; labels.dispatchEvent(new Event('input'))")
    page.wait("document.getElementById('status').textContent.includes('no labels')")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page.give_file("#picture", tmp_path / "broken.png")
    page.run("labels.value = 'red'; labels.dispatchEvent(new Event('input'))")
    page.wait("document.getElementById('status').textContent.includes('no picture')")


def test_nothing_leaves_for_elsewhere(page, served, site):
    hosts = {url.split("/")[2] for url in page.requested if not url.startswith(("blob:", "about:", "data:"))}
    assert len(hosts) >= 1
    assert all(host.startswith("127.0.0.1:") for host in hosts)
    with pytest.raises(PageError, match="Failed to fetch"):
        page.run("fetch('http://localhost:9/')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_sees_all_of_the_page_without_scrolling_sideways(page, scheme):
    page.look(390, 844, scheme)
    assert page.run("document.documentElement.scrollWidth") <= 390
    dark = page.run("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 29)"
    assert dark == (scheme == "dark")
