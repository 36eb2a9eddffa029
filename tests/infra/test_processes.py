"""Nothing is left running: orphans end with the run, however it ends.

Each run is a process of its own, because it adopts and ends all that it finds below itself.
"""

import signal
import subprocess
import sys

import psutil
import pytest

# `sh` starts a sleep and ends: a grandchild whose parent is gone.
RUN = """
import os, signal, subprocess, sys, time
from infra.processes import nothing_left_running, stop_descendants

signal.signal(signal.SIGINT, signal.default_int_handler)  # Off in a shell's background job.
with nothing_left_running():
    subprocess.run(["sh", "-c", sys.argv[1] + " >/dev/null 2>&1 & echo $!"])
    sys.stdin.readline()
    {body}
"""
SLEEP = "sleep 300"
STUBBORN = """sh -c 'trap "" TERM; exec sleep 300'"""


def start(body: str, orphan: str = SLEEP) -> tuple[subprocess.Popen, psutil.Process]:
    """(a run that waits for a line before its body, its orphan)."""
    command = [sys.executable, "-c", RUN.format(body=body), orphan]
    pipe = subprocess.PIPE
    run = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    return run, psutil.Process(int(run.stdout.readline()))


@pytest.mark.parametrize(
    "body, code",
    [
        ("pass", 0),
        ("raise ValueError('broken')", 1),
        ("sys.exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
    ],
)
def test_orphans_end_with_the_body(body, code):
    run, orphan = start(body)
    assert orphan.is_running()
    run.communicate("\n")
    assert run.returncode == code
    assert not orphan.is_running()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_orphans_end_with_a_signal(number):
    run, orphan = start("pass")
    run.send_signal(number)
    _, errors = run.communicate()
    assert "KeyboardInterrupt" in errors
    assert not orphan.is_running()


def test_an_orphan_that_does_not_listen_is_killed():
    run, orphan = start("stop_descendants(grace_seconds=0.2); print(len(sys.argv))", STUBBORN)
    out, errors = run.communicate("\n")
    assert (out, errors) == ("2\n", "")
    assert not orphan.is_running()


def test_what_follows_the_body_may_start_processes():
    run, _ = start("pass\nprint(subprocess.run(['echo', 'after'], capture_output=True).stdout)")
    out, _ = run.communicate("\n")
    assert out == "b'after\\n'\n"


STEP = """
import subprocess, sys, time
from infra.processes import end_with_parent
end_with_parent()
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(grandchild.pid, flush=True)
time.sleep(60)
"""
STARTER = f"""
import os, subprocess, sys
os.environ["DCCLIP_PARENT"] = sys.argv[1] or str(os.getpid())
child = subprocess.Popen([sys.executable, "-c", {STEP!r}], stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline(), flush=True)
child.wait()
"""


@pytest.mark.parametrize("parent, ends", [("", True), ("1", False)])
def test_a_step_and_what_it_started_end_with_a_run_that_is_killed(parent, ends):
    """Not where the variable names another process, as nothing does on a cluster."""
    run = subprocess.Popen([sys.executable, "-c", STARTER, parent], stdout=subprocess.PIPE, text=True)
    step, grandchild = (psutil.Process(int(word)) for word in run.stdout.readline().split())
    run.kill()
    run.wait()
    gone, alive = psutil.wait_procs([step, grandchild], timeout=10 if ends else 0.5)
    for process in alive:
        process.kill()
    assert (len(gone) == 2) is ends
