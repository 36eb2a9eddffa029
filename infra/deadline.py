"""A deadline for work that waits for others: what is not done by then is given up, and the caller goes on."""

import threading
from collections.abc import Callable
from typing import Any


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """What `work` returns or raises, if it does so in time.

    The work goes on in its thread after that; it ends with the process.

    Raises:
        TimeoutError: it took longer.
    """
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["value"] = work()
        except BaseException as error:  # handed to the caller, whatever it is
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"not done after {seconds:g} seconds")
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]
