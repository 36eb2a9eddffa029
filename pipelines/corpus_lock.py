"""One demo corpus at a time below a root of this machine: `ROOT/corpus` stays as it is while a run uses it.

Runs of the same corpus share it. One that wants another (another port, fewer concepts) does not take it away.
On a cluster nobody keeps it: there each recipe has a root of its own (infra/README.md).
"""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from components.step import StepError
from infra.place_lock import LOCKS
from infra.store import read_done
from pipelines.demo import CORPUS, DemoCorpus, build_corpus, made_of


@contextlib.contextmanager
def corpus_kept(corpus: DemoCorpus | None, root: Path) -> Iterator[None]:
    """Make the corpus if it is not there, and keep it while this is open.

    Raises:
        StepError: another run uses another corpus there.
    """
    if corpus is None:
        yield
        return
    (root / LOCKS).mkdir(exist_ok=True)
    with (root / LOCKS / CORPUS).open("a") as lock:
        with (root / LOCKS / f"{CORPUS}-making").open("a") as making:
            # Seconds at most: runs that begin at once look and make one after the other.
            fcntl.flock(making, fcntl.LOCK_EX)
            if not is_there(corpus, root):
                _lock(lock, fcntl.LOCK_EX, root)
                build_corpus(corpus, root / CORPUS)
            _lock(lock, fcntl.LOCK_SH, root)
        yield


def is_there(corpus: DemoCorpus, root: Path) -> bool:
    """Whether this corpus is below the root."""
    return read_done(root / CORPUS) == made_of(corpus)


def _lock(lock, kind: int, root: Path) -> None:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _in_use(root) from None


def _in_use(root: Path) -> StepError:
    return StepError(
        f"another run uses {root / CORPUS}, made with other values of `corpus`: "
        "wait until it has ended, or give this run a root of its own: --root"
    )
