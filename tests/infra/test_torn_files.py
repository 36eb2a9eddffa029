"""What power cuts and full disks leave: told, read past, made anew."""

import json

import pytest

from infra.store import DONE, read_done, read_lines_of_json, write_json
from infra.versions import Versions

TORN = [b"", b"{", b'{"a": 1', b"\0" * 40, b"\xff\xfe", b"null", b"[]"]


@pytest.mark.parametrize("content", TORN)
def test_a_record_without_its_content_is_no_record(tmp_path, content, capsys):
    (tmp_path / DONE).write_bytes(content)
    assert read_done(tmp_path) is None
    assert "is empty or cut off, as a power cut leaves a file; it is made anew" in capsys.readouterr().out
    write_json(tmp_path / DONE, {"seconds": 1})
    assert read_done(tmp_path) == {"seconds": 1}


@pytest.mark.parametrize("content", TORN)
def test_a_version_without_its_content_is_none_and_the_next_is_made(tmp_path, content, capsys):
    log = Versions(str(tmp_path), "pairs")
    log.publish({"a": "a/1"}, 0, {})
    log.publish({"a": "a/2"}, 1, {})
    (tmp_path / "datasets" / "pairs" / "versions" / "000002.json").write_bytes(content)
    assert log.latest().number == 1
    assert log.read(2) is None
    assert "000002.json is empty or cut off" in capsys.readouterr().out
    again = log.publish({"a": "a/2"}, 1, {})
    assert again.number == 3 and log.latest() == again


@pytest.mark.parametrize("content", TORN)
def test_a_decision_without_its_content_is_taken_anew(tmp_path, content):
    log = Versions(str(tmp_path), "pairs")
    assert log.decide(["base"], lambda: 4) == 4
    (file,) = (tmp_path / "datasets" / "pairs" / "decided").iterdir()
    file.write_bytes(content)
    assert log.decide(["base"], lambda: 5) == log.decide(["base"], lambda: 6) == 5


@pytest.mark.parametrize("end", ["", '{"step": 2, "lo', "\0\0\0\n"])
def test_lines_are_read_past_a_torn_one(tmp_path, end):
    (tmp_path / "curve").write_text('{"step": 1}\n' + end)
    assert read_lines_of_json(tmp_path / "curve") == [{"step": 1}]


def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    write_json(tmp_path / "a.json", {"a": 1})
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(tmp_path / "a.json", {"a": 2})
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
