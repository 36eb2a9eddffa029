"""The page's server: right answers, and what it refuses."""

import base64
import io

import pytest
from PIL import Image
from starlette.testclient import TestClient
from toy_training import COLOURS, HAN, picture, png

from training.serve.answers import Answers
from training.serve.app import MAX_BODY_BYTES, make_app
from training.serve.index import build_index
from training.serve.pictures import list_pictures

HERE = "http://127.0.0.1:8000"


@pytest.fixture
def answers(pictures, toy_model) -> Answers:
    model = toy_model.model()
    return Answers(model, build_index(list_pictures(pictures, 100), model, quiet=True))


@pytest.fixture
def client(answers) -> TestClient:
    return TestClient(make_app(answers, ["127.0.0.1", "localhost"]), base_url=HERE)


def data_url(body: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(body).decode()


def test_the_page_and_its_parts_are_there(client):
    page = client.get("/")
    assert page.status_code == 200
    for name in ("serve.js", "serve.css", "style.css"):
        assert name in page.text
        assert client.get(f"/{name}").status_code == 200
    for name in ("answers.js", "picture_input.js"):
        assert client.get(f"/{name}").headers["content-type"].startswith("text/javascript")


def test_about_tells_what_is_served(client):
    found = client.get("/about").json()
    assert found["model"] == "toy"
    assert (found["folder"]["name"], found["folder"]["pictures"]) == ("pictures", 6)
    assert found["folder"]["skipped"]["leads_outside"] == 1


@pytest.mark.parametrize("text", ["a red thing", "红色"])
def test_words_find_pictures(client, text):
    found = client.get("/search", params={"text": text}).json()["pictures"]
    assert (found[0]["path"], len(found)) == ("red.png", 6)
    thumbnail = client.get(f"/thumbnails/{found[0]['number']}")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(thumbnail.content)) as image:
        assert image.getpixel((20, 15))[0] > 240


@pytest.mark.parametrize(
    "labels", [["red", "green", "蓝"], ["蓝", "red", "red", "纸"], [*COLOURS, *HAN.values()]]
)
def test_a_picture_gets_scores_in_the_order_of_its_labels(client, labels):
    question = {"image": data_url(png(picture("blue"))), "labels": labels}
    scores = client.post("/classify", json=question).json()["scores"]
    assert sum(scores) == pytest.approx(1)
    assert len(scores) == len(labels)
    best = {label for label, score in zip(labels, scores, strict=True) if score == max(scores)}
    assert best <= {"blue", "蓝"}


def test_a_found_picture_can_be_labelled(client):
    (found, *_) = client.get("/search", params={"text": "green"}).json()["pictures"]
    question = {"number": found["number"], "labels": ["红", "绿"]}
    scores = client.post("/classify", json=question).json()["scores"]
    assert scores[1] > 0.99


def test_texts_asked_before_are_not_asked_again(client, toy_model):
    for labels in (["red", "红"], ["红", "blue"]):
        client.post("/classify", json={"number": 0, "labels": labels})
    assert toy_model.asked == ["red", "红", "blue"]


def huge() -> bytes:
    return png(Image.new("1", (10_000, 10_000)))


PICTURE = data_url(png(picture("red")))


@pytest.mark.parametrize(
    "question, message",
    [
        ({"image": PICTURE, "labels": []}, "there are no labels to choose from"),
        ({"image": PICTURE}, "labels must be a list"),
        ({"image": PICTURE, "labels": "red"}, "labels must be a list"),
        ({"image": PICTURE, "labels": ["red"] * 10_000}, "10000 labels are too many, at most 1000"),
        ({"image": PICTURE, "labels": ["red", " "]}, "not empty"),
        ({"image": PICTURE, "labels": ["red", 7]}, "not empty"),
        ({"image": PICTURE, "labels": ["red" * 1_000]}, "3000 characters"),
        ({"image": "data:image/png;base64,%%%", "labels": ["red"]}, "not base64"),
        ({"image": data_url(b"no picture"), "labels": ["red"]}, "cannot read the picture"),
        ({"image": data_url(huge()), "labels": ["red"]}, "10000 x 10000 pixels are too many"),
        ({"image": "/etc/hostname", "labels": ["red"]}, "this is no picture file"),
        ({"image": "red.png", "labels": ["red"]}, "this is no picture file"),
        ({"image": "file:///etc/hostname", "labels": ["red"]}, "this is no picture file"),
        ({"image": "https://example.org/a.png", "labels": ["red"]}, "this is no picture file"),
        ({"image": ["data:image/png;base64,"], "labels": ["red"]}, "this is no picture file"),
        ({"labels": ["red"]}, "this is no picture file"),
        ({"number": 6, "labels": ["red"]}, "no such picture"),
        ({"number": -1, "labels": ["red"]}, "no such picture"),
        ({"number": True, "labels": ["red"]}, "no such picture"),
        ({"number": "../secret.png", "labels": ["red"]}, "no such picture"),
        ([], "a question has labels"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_question_is_told_so(client, question, message):
    answer = client.post("/classify", json=question)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_a_thousand_labels_are_answered_and_a_picture_of_one_pixel_too(client):
    labels = [f"red {number}" if number % 2 else f"红 {number}" for number in range(1_000)]
    body = png(Image.new("RGB", (1, 2), "red"))
    scores = client.post("/classify", json={"image": data_url(body), "labels": labels}).json()["scores"]
    assert (len(scores), sum(scores)) == (1_000, pytest.approx(1))


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000], ids=["empty", "half", "bytes", "deep"])
def test_a_question_must_be_json(client, body):
    answer = client.post("/classify", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (400, "a question is JSON")


def test_too_much_is_not_read(client):
    body = b'{"labels": ["' + b"a" * MAX_BODY_BYTES
    answer = client.post("/classify", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (413, "the picture has more than 20 MB")


def test_a_form_of_another_page_is_refused(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = client.post("/classify", content=b'{"labels": ["a"]}', headers={"Content-Type": kind})
        assert answer.status_code == 400


def test_another_name_for_this_host_is_refused(client):
    assert client.get("/about", headers={"Host": "evil.example:8000"}).status_code == 400
    assert client.get("/about", headers={"Host": "localhost:8000"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/about", "/thumbnails/0", "/thumbnails/99", "/nowhere"])
def test_every_answer_stays_in_this_page(client, path):
    headers = client.get(path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/thumbnails/../secret.png",
        "/thumbnails/%2e%2e%2fsecret.png",
        "/thumbnails/-1",
        "/../secret.png",
        "/%2e%2e/secret.png",
        "/index.html/../../app.py",
        "/red.png",
        "/app.py",
    ],
)
def test_no_path_leads_to_a_file(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/thumbnails/6", "/search", "/search?text=%20", f"/search?text={'a' * 2_000}"]
)
def test_bad_requests_are_told(client, path):
    answer = client.get(path)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_picture_that_is_gone_is_told(client, pictures):
    for path in pictures.glob("*.png"):
        if path.is_file() or path.is_symlink():
            path.unlink()
    answer = client.get("/thumbnails/3")
    assert (answer.status_code, answer.json()["error"]) == (400, "cannot_be_read")


def test_without_a_folder_pictures_are_labelled_all_the_same(toy_model):
    client = TestClient(make_app(Answers(toy_model.model(), None), ["*"]), base_url=HERE)
    assert client.get("/about").json()["folder"] is None
    assert client.post("/classify", json={"image": PICTURE, "labels": ["red"]}).json() == {"scores": [1.0]}
    for path in ("/search?text=red", "/thumbnails/0"):
        assert client.get(path).status_code == 400
    assert client.post("/classify", json={"number": 0, "labels": ["red"]}).status_code == 400
