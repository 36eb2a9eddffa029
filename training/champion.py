"""Who is champion: the alias, how it is moved, and what is written down about it.

An alias is moved under the lock of training/registry_lock.py, after a look whether the champion is still the
one that was compared with; so of two that finish together one wins, and the other is compared with it. Tags
of a version say what happened to it: `decision`, `previous_champion`, `promoted_by`, `promoted_at`, and after
a rollback `rolled_back_by`, `rolled_back_at`, `rollback_reason`.
"""

import getpass
import socket
from collections.abc import Callable
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from training.gate import Decision
from training.registry_client import NOT_THERE
from training.registry_lock import locked

CHAMPION, CHALLENGER = "champion", "challenger"
ROLLED_BACK = {"rolled_back_by", "rolled_back_at", "rollback_reason"}
# How often the champion may change while we compare, before something is wrong.
MAX_COMPARISONS = 20


class NoSuchVersion(LookupError):
    """There is no such version or alias; the message says what there is."""


def by_alias(client: MlflowClient, model: str, alias: str) -> ModelVersion | None:
    """The version that has an alias, None where nobody has."""
    try:
        return client.get_model_version_by_alias(model, alias)
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
        return None


def by_number(client: MlflowClient, model: str, number: int) -> ModelVersion:
    """A version.

    Raises:
        NoSuchVersion: it was not registered, or deleted.
    """
    try:
        return client.get_model_version(model, str(number))
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
        raise NoSuchVersion(f"{model} has no version {number}") from None


def settle(
    client: MlflowClient, model: str, version: str, compare: Callable[[ModelVersion | None], Decision]
) -> Decision:
    """Make a version champion or challenger, whichever the comparison with the champion says.

    Safe to repeat: a version that is champion already stays it, and what a person has rolled back stays back.

    Args:
        compare: is given the champion, None where there is none; asked again when that has changed meanwhile.
    """
    for _ in range(MAX_COMPARISONS):
        champion = by_alias(client, model, CHAMPION)
        if number_of(champion) == version:
            return Decision(True, champion.tags.get("decision", "it is the champion already"))
        decision = _rolled_back(client, model, version) or compare(champion)
        with locked(client, model) as lock:
            same = number_of(by_alias(client, model, CHAMPION)) == number_of(champion)
            if same and lock.still_held() and _carry_out(client, model, version, champion, decision):
                return decision
    raise RuntimeError(f"the champion of {model} changes faster than it can be compared with")


def _rolled_back(client: MlflowClient, model: str, version: str) -> Decision | None:
    """The decision of a person who rolled this version back, None where nobody has."""
    tags = by_number(client, model, int(version)).tags
    if "rolled_back_by" not in tags:
        return None
    return Decision(False, f"{tags['rolled_back_by']} rolled it back: {tags.get('rollback_reason', '')}")


def _carry_out(
    client: MlflowClient, model: str, version: str, champion: ModelVersion | None, decision: Decision
) -> bool:
    """Tag the version and give it its alias; whether it has kept it, looked up again."""
    tag(client, model, version, {"decision": decision.reason})
    if not decision.promote:
        client.set_registered_model_alias(model, CHALLENGER, version)
        return True
    _crown(client, model, version, champion, by="the gate")
    return number_of(by_alias(client, model, CHAMPION)) == version


def _crown(client: MlflowClient, model: str, version: str, champion: ModelVersion | None, by: str) -> None:
    """Write down who was champion before, then move the alias: a rollback finds its way after any crash."""
    previous = number_of(champion) or ""
    tag(client, model, version, {"previous_champion": previous, "promoted_by": by, "promoted_at": now()})
    client.set_registered_model_alias(model, CHAMPION, version)
    if number_of(by_alias(client, model, CHALLENGER)) == version:
        client.delete_registered_model_alias(model, CHALLENGER)


def promote(client: MlflowClient, model: str, version: str, reason: str) -> None:
    """Make a version champion because a person says so."""
    with locked(client, model):
        champion = by_alias(client, model, CHAMPION)
        if number_of(champion) != version:
            for name in ROLLED_BACK & by_number(client, model, int(version)).tags.keys():
                client.delete_model_version_tag(model, version, name)
            tag(client, model, version, {"decision": f"promoted by hand: {reason}"})
            _crown(client, model, version, champion, by=who())


def rollback(client: MlflowClient, model: str, reason: str) -> tuple[str, str]:
    """Make the champion's predecessor champion again; gives (who goes, who comes back).

    Raises:
        NoSuchVersion: there is no champion, or it has no predecessor, or that was deleted.
    """
    with locked(client, model):
        champion = by_alias(client, model, CHAMPION)
        if champion is None:
            raise NoSuchVersion(f"{model} has no champion")
        previous = champion.tags.get("previous_champion")
        if not previous:
            raise NoSuchVersion(
                f"version {champion.version} of {model} replaced nobody; name another champion with "
                "`dcclip promote --version`"
            )
        by_number(client, model, int(previous))
        gone = {"rolled_back_by": who(), "rolled_back_at": now(), "rollback_reason": reason}
        tag(client, model, number_of(champion), gone)
        client.set_registered_model_alias(model, CHAMPION, previous)
    return number_of(champion), previous


def tag(client: MlflowClient, model: str, version: str, tags: dict[str, str]) -> None:
    """Write tags of a version."""
    for name, value in tags.items():
        client.set_model_version_tag(model, version, name, value)


def number_of(version: ModelVersion | None) -> str | None:
    """A version's number as MLflow's calls take it, None for no version."""
    return None if version is None else str(version.version)


def who() -> str:
    """The person at the keyboard, as far as the machine knows."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = "somebody"
    return f"{name}@{socket.gethostname()}"


def now() -> str:
    """The time, for people of all places."""
    return datetime.now(UTC).isoformat(timespec="seconds")
