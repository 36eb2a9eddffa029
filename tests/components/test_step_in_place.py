"""A step that reads and writes object storage itself: no copy of anything on this machine."""

from dataclasses import dataclass

import pytest

from components.reference import read_reference
from components.step import run_step
from infra.places import local_copy, stored_path
from infra.scratch import scratch_root
from infra.storage import StoragePath
from infra.store import write_json
from tests.artifacts import new_artifact, reference_to
from tests.stored import store


@dataclass(frozen=True)
class CountWords:
    """A toy step's settings: what it has counted before."""

    known: str = ""


def count_words(config: CountWords, place: StoragePath, engines: dict, words: StoragePath) -> dict:
    """Count the words of each text, and begin anew where there is no count."""
    assert config.known.startswith("s3://")
    texts = sorted(words.glob("texts/*.txt"), key=str)
    for text in texts:
        count = place / "counts" / f"{text.stem}.json"
        if not count.is_file():
            write_json(count, len(text.read_text().split()))
        if text.stem == engines["fails_at"]:
            raise ValueError("cut off")
    return {"texts": len(texts)}


@pytest.fixture
def count(bucket, counted, tmp_path):
    """Runs the toy step on three texts in a bucket; gives what its output refers to."""
    (tmp_path / "words" / "texts").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "words" / "texts" / f"{number}.txt").write_text("word " * number)
    words = f"{bucket}/store/words/1"
    store(tmp_path / "words", words, counted.endpoint)

    def run(fails_at: str = ""):
        engines = {"s3_endpoint": counted.endpoint, "fails_at": fails_at}
        values = {"known": f"{words}/before"}
        config = {"values": values, "code": "c", "root": f"{bucket}/store", "engines": engines}
        output, inputs = new_artifact(tmp_path), {"words": reference_to(words, tmp_path)}
        given = {"in_place": ("words", "known"), "finished_by": ("counts/*",)}
        counted.forget()
        run_step("count_words", count_words, CountWords, config, inputs, output, **given)
        return read_reference(output)

    return run


def test_a_step_works_in_the_store_and_is_found_done(count, counted):
    first = count()
    result = stored_path(first.address, counted.endpoint)
    assert {path.name: path.read_text() for path in result.glob("counts/*")} == {
        f"{number}.json": str(number) for number in range(3)
    }
    assert not (scratch_root() / "places").exists()
    assert (count().address, count().reused) == (first.address, 1)
    assert counted.of("PUT") == []


def test_a_retry_makes_what_is_missing_and_copies_nothing(count, counted):
    with pytest.raises(SystemExit):
        count(fails_at="1")
    reference = count()
    assert {request.path.rpartition("/")[2] for request in counted.of("PUT", "/counts/")} == {"2.json"}
    with local_copy(reference.address, counted.endpoint, "tests") as folder:
        assert sorted(path.name for path in folder.glob("counts/*")) == ["0.json", "1.json", "2.json"]
