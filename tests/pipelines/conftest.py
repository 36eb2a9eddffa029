"""What tests of the command line share."""

import sys

import pytest

from pipelines.cli import main


@pytest.fixture
def dcclip(monkeypatch, capsys):
    """Runs a command; gives (exit status or message, standard output, standard error)."""

    def run(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["dcclip", *arguments])
        status: object = 0
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        return (status, *capsys.readouterr())

    return run
