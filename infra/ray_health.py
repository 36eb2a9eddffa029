"""Whether Ray's servers in this pod answer: the probes of Ray's pods (manifests/base/ray.yaml).

    python -m infra.ray_health 6379 6380        (the head's GCS, the node's raylet)

KubeRay's own probes ask Ray's dashboard by wget. The image has neither: its Ray is without dashboard, and a
Debian image without downloaders. Both servers speak gRPC, so each is greeted in HTTP/2 and has to greet back:
that needs its threads, while a connection alone is the kernel's. Standard library alone, since a probe is a
new process every few seconds; `ray health-check` would import Ray each time, two seconds of a CPU.
"""

import socket
import sys

# RFC 9113, section 3.4: the preface, and a SETTINGS frame with nothing in it.
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
FRAME_HEADER_BYTES, SETTINGS = 9, 4
TIMEOUT_SECONDS = 5.0


def trouble(port: int, timeout: float = TIMEOUT_SECONDS) -> str:
    """What is wrong with the gRPC server at a port of this pod; empty when it answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as connection:
            connection.sendall(GREETING)
            answer = connection.makefile("rb").read(FRAME_HEADER_BYTES)
    except OSError as error:
        return f"port {port}: {error}"
    if len(answer) < FRAME_HEADER_BYTES or answer[3] != SETTINGS:
        return f"port {port}: {answer!r} is no answer of a gRPC server"
    return ""


def main() -> None:
    """Exit with what is wrong, if anything is; the kubelet shows it among the pod's events."""
    found = [text for port in sys.argv[1:] if (text := trouble(int(port)))]
    if found or not sys.argv[1:]:
        sys.exit("; ".join(found) or "name the ports: python -m infra.ray_health 6379 6380")


if __name__ == "__main__":
    main()
