"""`dcclip serve` and `dcclip web`, the commands: started for real, and failures that are one line."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from training.serve.server import address_of, hosts_of, listen
from training.settings import StudentShape
from training.student import build_student
from training.tokenizer import train_tokenizer

DCCLIP = Path(sys.executable).with_name("dcclip")
VISION = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SHAPE = StudentShape(
    family="chinese_clip",
    image_size=32,
    vocab_size=100,
    max_tokens=8,
    vision={**VISION, "intermediate_size": 16, "patch_size": 16},
    text={**VISION, "intermediate_size": 16},
)


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    """A student's directory."""
    folder = tmp_path_factory.mktemp("tiny") / "student"
    build_student(SHAPE, train_tokenizer(["red 红", "blue 蓝"], 100, 8), 16).save(folder)
    return folder


def test_the_page_is_served_until_it_is_interrupted(student, tmp_path):
    (tmp_path / "pictures").mkdir()
    for colour in ("red", "blue"):
        Image.new("RGB", (40, 30), colour).save(tmp_path / "pictures" / f"{colour}.png")
    arguments = ["serve", str(student), "--images", str(tmp_path / "pictures"), "--port", "0"]
    quiet = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONWARNINGS": "ignore"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [DCCLIP, *arguments]
    with subprocess.Popen(command, env=quiet, **pipes) as server:
        lines = [server.stdout.readline() for _ in range(2)]
        assert lines[0] == f"2 pictures below {tmp_path / 'pictures'}\n", server.stderr.read()
        url = lines[1].split()[1]
        assert url.startswith("http://127.0.0.1:")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        found = json.load(opener.open(f"{url}search?text=red"))
        assert {item["path"] for item in found["pictures"]} == {"red.png", "blue.png"}
        server.send_signal(signal.SIGINT)
        out, err = server.communicate()
    assert (server.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nowhere"], "nowhere is neither a folder nor models:/NAME@ALIAS"),
        (["."], "has neither onnx.json"),
        ([".", "--images", "nowhere"], "nowhere is no folder of pictures"),
        (["models:/dcclip@champion", "--root", "nowhere"], "there is no registry at"),
        ([".", "--host", "256.0.0.1"], "cannot listen on 256.0.0.1 port 0"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_line(dcclip, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, _ = dcclip("serve", *arguments, "--port", "0")
    assert status.startswith("dcclip: ")
    assert message in status
    assert "\n" not in status


def test_a_port_in_use_is_told(dcclip, student):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, _, _ = dcclip("serve", str(student), "--port", str(taken.getsockname()[1]))
    assert "choose another: --port" in status


def test_a_registry_that_does_not_answer_is_told(dcclip, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://somebody:secret@127.0.0.1:{silent.getsockname()[1]}"
        status, _, _ = dcclip("serve", "models:/dcclip@champion", "--mlflow-uri", uri, "--port", "0")
    assert "the registry http://127.0.0.1" in status
    assert "secret" not in status


def test_who_listens_to_the_network_may_be_asked_by_any_name():
    with listen("0.0.0.0", 0) as everywhere, listen("localhost", 0) as here:
        assert hosts_of("0.0.0.0", everywhere) == ["*"]
        assert hosts_of("localhost", here) == ["127.0.0.1", "[127.0.0.1]", "localhost"]
        assert address_of(here) == f"http://127.0.0.1:{here.getsockname()[1]}/"


def test_a_folder_that_is_no_export_makes_no_page(dcclip, student, tmp_path):
    status, _, _ = dcclip("web", str(student), str(tmp_path / "site"))
    assert "has no onnx.json, student/tokenizer.json, image.int8.onnx, text.int8.onnx" in status
    assert not (tmp_path / "site").exists()


def test_without_npm_a_page_needs_it_once(dcclip, tmp_path, monkeypatch):
    for name in ("onnx.json", "student/tokenizer.json", "image.int8.onnx", "text.int8.onnx"):
        (tmp_path / "export" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "export" / name).write_text("{}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    status, _, _ = dcclip("web", str(tmp_path / "export"), str(tmp_path / "site"))
    assert "npm is not installed" in status
    assert "apt-get install npm" in status


@pytest.mark.parametrize(
    "command, words",
    [
        (
            "serve",
            ["--images FOLDER", "--host", "--port", "this machine alone", "models:/NAME@ALIAS", "--int8"],
        ),
        ("web", ["--fp32", "npm"]),
    ],
)
def test_help_tells_what_is_served(dcclip, command, words):
    status, out, _ = dcclip(command, "--help")
    assert status == 0
    assert [word for word in words if word not in " ".join(out.split())] == []
