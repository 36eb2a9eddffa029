"""The connection to a Kubeflow Pipelines server: the stock client, and its errors as one line that helps.

Who we are is what the stock client offers: a token (KFP_EXISTING_TOKEN), the pod's service account within
the cluster, the current kubeconfig, or what `~/.config/kfp/context.json` holds.
"""

import contextlib
import io
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import kfp
from kfp_server_api import ApiException
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError, SSLError

from components.step import StepError

# Seconds to connect, and to wait for an answer.
PATIENCE = (10, 30)
NO_SERVER = (
    "no Kubeflow Pipelines server is named: give --endpoint URL or set KFP_ENDPOINT, "
    "for example to the end of `kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80`"
)
# What the server means, whatever status a proxy or the gateway made of it.
MEANINGS = {"Unauthenticated": 401, "PermissionDenied": 403, "RBAC: access denied": 403}
ADVICE = {
    0: "if its certificate is your own authority's, give --ssl-ca-cert FILE",
    400: "",
    401: "sign in anew: a fresh token in KFP_EXISTING_TOKEN or --existing-token",
    403: "ask for that right, or name a namespace of yours with --namespace",
    404: "check --endpoint: it is where the API's path /apis/v2beta1 begins",
    409: "someone was faster; run the same command again",
    429: "too much is asked of it; wait a little, then run the same command again",
}
SERVER_TROUBLE = (
    "that is the server's; try again, else look with `kubectl logs -n kubeflow deploy/ml-pipeline`"
)


class ServerError(StepError):
    """The server, or the way to it, is at fault; `passing` when the same question may be answered later."""

    def __init__(self, message: str, passing: bool = False):
        super().__init__(message)
        self.passing = passing


@dataclass(frozen=True)
class Server:
    """Where the server is and who asks; empty means what the stock client finds by itself."""

    endpoint: str = ""
    namespace: str = ""
    token: str = ""
    ca_cert: str = ""


class Client(kfp.Client):
    """The stock client, but it asks once whether the server is there: that logs five tracebacks in 25 s.

    `version` is what the server says it is: a release, `unknown`, or nothing.
    """

    version = ""

    def get_kfp_healthz(self, sleep_duration: int = 0):
        """What the server says of itself.

        Raises:
            StepError: something answers that is no API, such as the page of a login.
        """
        api = self._healthz_api
        answer, _, headers = api.healthz_service_get_healthz_with_http_info(_request_timeout=PATIENCE)
        if "json" not in headers.get("Content-Type", "json"):
            raise StepError(
                f"{self.host} answers with a page, most often that of a login, not with the API: "
                f"check --endpoint; {ADVICE[401]}"
            )
        self.version = json.loads(api.api_client.last_response.data).get("tag_name", "")
        return answer

    @property
    def host(self) -> str:
        """The API's address."""
        return self._existing_config.host

    def page(self, path: str) -> str:
        """The address of a page for people."""
        return f"{self._get_url_prefix()}/#/{path}"


def connect(server: Server) -> Client:
    """A client of a server that answers.

    Raises:
        StepError: none is named, it cannot be reached, or it does not let us in.
    """
    # Where the stock client signs a person in, it asks on standard output.
    with warnings.catch_warnings(), told_clearly(server.endpoint), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        client = Client(
            host=server.endpoint or None,
            namespace=server.namespace or "kubeflow",
            existing_token=server.token or None,
            ssl_ca_cert=server.ca_cert or None,
        )
        several_users = client.get_kfp_healthz().multi_user
    if several_users and not client.get_user_namespace():
        raise StepError(f"{client.host} has several users: name your namespace with --namespace")
    return client


@contextlib.contextmanager
def told_clearly(host: str) -> Iterator[None]:
    """Makes what goes wrong with the server an error of one line; what the client prints is dropped.

    Raises:
        ServerError: with what to do.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except ApiException as error:
        raise explained(error, host) from None
    except MaxRetryError as error:
        advice = ADVICE[0] if isinstance(error.reason, SSLError) else "check the address, and that it is up"
        reason = error.reason.args[-1] if isinstance(error.reason, ProtocolError) else error.reason
        reason = str(reason).rpartition(": ")[2]
        # The stock client's address when it knows none.
        if not host and error.pool.host == "localhost":
            raise ServerError(NO_SERVER) from None
        where = host or error.pool.host
        raise ServerError(
            f"cannot reach Kubeflow Pipelines at {where}: {reason}; {advice}", passing=True
        ) from None
    except (HTTPError, OSError) as error:
        raise ServerError(
            f"the connection to {host or 'the server'} broke: {error}; look at what is there before you try "
            "again: `kfp run list`",
            passing=True,
        ) from None
    except ValueError as error:
        # The stock client's own: for example two experiments of one name.
        raise ServerError(str(error)) from None


def explained(error: ApiException, host: str) -> ServerError:
    """An answer of the server that is an error, in one line with what to do."""
    text = _message(error)
    status = next((code for word, code in MEANINGS.items() if word in text), error.status or 0)
    # The API itself lacks something of that id; without the word, nothing of the API is at that address.
    advice = "" if "ResourceNotFoundError" in text else ADVICE.get(status, SERVER_TROUBLE)
    line = f"{host or 'the server'} says {status or 'nothing'}: {text}{'; ' if advice else ''}{advice}"
    return ServerError(line, passing=status == 429 or status >= 500)


def _message(error: ApiException) -> str:
    """The server's words: the API's, the upload's, or the first line of a proxy's; without a stack trace."""
    body = error.body or ""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {} if "<html" in body.lower() or "<!doctype" in body.lower() else {"message": body}
    words = (
        [answer.get(key) for key in ("error_message", "message", "error")] if isinstance(answer, dict) else []
    )
    message = next((word for word in words if isinstance(word, str) and word.strip()), str(error.reason))
    return message.strip().splitlines()[0][:300]
