"""A lock in the registry itself: who holds it may move the alias `champion`.

The lock is a registered model `NAME.lock` that exists while it is held, tagged with who holds it. MLflow has
no compare-and-set, and setting an alias is last-writer-wins; creating a registered model is atomic, as its
name is the primary key of a table. So this holds for every registry on a SQL database, directly or behind a
server (sqlite is tested, PostgreSQL and MySQL are not). It does not hold for MLflow's deprecated file store.

A holder that dies leaves the lock. Who waits breaks it when it has seen the same holder for `LEASE_SECONDS`;
clocks of two machines are not compared. A holder that was only slow finds out by `Lock.still_held`, which is
asked right before the alias is moved: what is left is the time of one request after it.
"""

import contextlib
import time
import uuid
from collections.abc import Iterator

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from infra.console import say
from training.registry_client import NOT_THERE, TAKEN

# The work under the lock is a few small requests.
LEASE_SECONDS = 60.0
POLL_SECONDS = 0.2
HOLDER = "holder"


class Lock:
    """A lock that this process has taken."""

    def __init__(self, client: MlflowClient, name: str, token: str):
        self.client, self.name, self.token = client, name, token

    def still_held(self) -> bool:
        """Whether nobody has broken it."""
        return holder_of(self.client, self.name) == self.token

    def release(self) -> None:
        """Give it back, unless it is another's by now."""
        if self.still_held():
            _remove(self.client, self.name)


def holder_of(client: MlflowClient, name: str) -> str | None:
    """The token of whoever holds the lock, None when it is free."""
    try:
        return client.get_registered_model(name).tags.get(HOLDER, "")
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
        return None


@contextlib.contextmanager
def locked(client: MlflowClient, model: str, lease_seconds: float = LEASE_SECONDS) -> Iterator[Lock]:
    """Hold the lock of a registered model while the body runs; waits for it, and breaks a dead one's."""
    name, token = f"{model}.lock", uuid.uuid4().hex
    _acquire(client, name, token, lease_seconds)
    lock = Lock(client, name, token)
    try:
        yield lock
    finally:
        lock.release()


def _acquire(client: MlflowClient, name: str, token: str, lease_seconds: float) -> None:
    seen, since = None, time.monotonic()
    while not _create(client, name, token):
        holder = holder_of(client, name)
        if holder != seen:
            seen, since = holder, time.monotonic()
        elif holder is not None and time.monotonic() - since > lease_seconds:
            say("register_student", f"{name} was left by somebody who died; breaking it")
            _remove(client, name)
        time.sleep(POLL_SECONDS)


def _create(client: MlflowClient, name: str, token: str) -> bool:
    """Whether the lock was free; a request that was repeated may find what it made itself."""
    about = "Held for a moment while a champion is chosen (dcclip)."
    try:
        client.create_registered_model(name, tags={HOLDER: token}, description=about)
    except MlflowException as error:
        if error.error_code not in TAKEN:
            raise
        return holder_of(client, name) == token
    return True


def _remove(client: MlflowClient, name: str) -> None:
    try:
        client.delete_registered_model(name)
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
