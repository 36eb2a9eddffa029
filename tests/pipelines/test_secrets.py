"""Secrets of the environment are in nothing that is written: compiled pipeline, log, artifact, message.

tests/pipelines/test_end_to_end.py looks through a whole run; here are the compiled pipeline, and a run that
fails while it uses its secrets.
"""

import os
import subprocess
import sys

from tests.planted_secrets import PLANTED, secrets_below, secrets_in

FULL = ("--recipe", "full", "--set", "prepare_teacher.revision=" + "0" * 40)
DCCLIP = "import sys; from pipelines.cli import main; sys.argv[0] = 'dcclip'; main()"


def dcclip(folder, *arguments: str) -> subprocess.CompletedProcess:
    """A command with secrets in its environment, run in a folder."""
    environment = {**os.environ, **PLANTED, "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"}
    return subprocess.run(
        [sys.executable, "-c", DCCLIP, *arguments], cwd=folder, env=environment, capture_output=True
    )


def test_planted_secrets_are_found(tmp_path):
    """The other tests would pass if nothing were ever found."""
    (tmp_path / "log").write_text(f"password={PLANTED['MLFLOW_TRACKING_PASSWORD']} and more")
    assert secrets_below(tmp_path) == {str(tmp_path / "log"): {"MLFLOW_TRACKING_PASSWORD"}}


def test_the_compiled_pipeline_holds_no_secret(tmp_path):
    done = dcclip(tmp_path, "compile", "--output", "dcclip-full.yaml")
    assert done.returncode == 0 and (tmp_path / "dcclip-full.yaml").stat().st_size > 10_000, done.stderr
    assert secrets_below(tmp_path) == {}
    assert secrets_in([done.stdout, done.stderr]) == set()


def test_a_run_that_fails_at_its_storage_tells_no_secret(tmp_path):
    """Its first step signs a request with them, which a closed port refuses."""
    done = dcclip(tmp_path, "run", "--root", "s3://bucket/runs", "--s3-endpoint", "http://127.0.0.1:9", *FULL)
    assert done.returncode == 1 and b"cannot be reached" in done.stdout + done.stderr, done.stderr
    assert list(tmp_path.rglob("run.log"))
    assert secrets_below(tmp_path) == {}
    assert secrets_in([done.stdout, done.stderr]) == set()
