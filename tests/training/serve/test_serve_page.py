"""The page of `dcclip serve` in headless Chromium."""

import threading
from collections.abc import Iterator

import pytest
from toy_training import picture

from training.serve.answers import Answers
from training.serve.app import make_app
from training.serve.index import build_index
from training.serve.pictures import list_pictures
from training.serve.server import address_of, hosts_of, listen, make_server


@pytest.fixture
def page(browser, pictures, toy_model) -> Iterator:
    """The browser on the page of a running server."""
    model = toy_model.model()
    answers = Answers(model, build_index(list_pictures(pictures, 100), model, quiet=True))
    with listen("127.0.0.1", 0) as listening:
        server = make_server(make_app(answers, hosts_of("127.0.0.1", listening)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            browser.look(1000, 800)
            browser.open(address_of(listening))
            browser.wait("document.body.dataset.ready")
            yield browser
        finally:
            browser.open("about:blank")
            server.should_exit = True
            thread.join()


def write(page, place: str, text: str) -> None:
    page.run(f"{place}.value = {text!r}; {place}.dispatchEvent(new Event('input'))")


def test_a_person_searches_and_labels(page, tmp_path):
    assert "6 pictures of pictures" in page.text()
    assert "1 leads_outside" in page.text()
    for text in ("红色", "a red thing"):
        write(page, "text", text)
        page.wait("document.querySelector('#pictures button')?.title === 'red.png'")
        assert page.run("document.querySelectorAll('#pictures button').length") == 6
        page.wait("document.querySelector('#pictures img').naturalWidth > 0")
    write(page, "labels", "red\n红\nblue\n蓝")
    page.run("document.querySelector('#pictures button').click()")
    page.wait("document.getElementById('status').textContent === '4 labels'")
    assert page.run("document.querySelector('#answers li span').textContent") in ("red", "红")
    picture("blue").save(tmp_path / "mine.png")
    page.give_file("#picture", tmp_path / "mine.png")
    page.wait("['blue', '蓝'].includes(document.querySelector('#answers li span')?.textContent)")


def test_errors_are_told_in_the_page(page, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page.give_file("#picture", tmp_path / "broken.png")
    page.wait("document.getElementById('status').textContent.includes('cannot read the picture')")
    write(page, "labels", "")
    page.wait("document.getElementById('status').textContent.includes('no labels')")
    (tmp_path / "large.png").write_bytes(bytes(21 * 2**20))
    page.give_file("#picture", tmp_path / "large.png")
    page.wait("document.getElementById('status').textContent.includes('more than 20 MB')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_sees_the_page_without_scrolling_sideways(page, scheme):
    write(page, "text", "red")
    page.wait("document.querySelectorAll('#pictures button').length === 6")
    page.look(390, 844, scheme)
    assert page.run("document.documentElement.scrollWidth") <= 390
    dark = page.run("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 29)"
    assert dark == (scheme == "dark")
