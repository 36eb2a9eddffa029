"""A real S3 server on loopback: OpenStack Swift with its S3 interface, on disk, all parts in one process.

    python tests/s3_server.py FOLDER

prints its port when it answers, and ends with its standard input. It checks signatures, keeps multipart
uploads apart until they are complete, and writes conditionally, as the S3 services do that dcclip is for.
A process of its own, because Swift replaces Python's sockets and threads by cooperating ones.
"""

import os
import sys
from pathlib import Path

ACCESS_KEY, SECRET_KEY = "test:tester", "a-secret-of-the-tests"
# May read what it is let, and owns nothing.
OTHER_KEY, OTHER_SECRET = "other:guest", "another-secret"
STORES = ("account", "container", "object")
CLUSTER = """
[swift-hash]
swift_hash_path_suffix = tests
[storage-policy:0]
name = only
default = yes
"""
EVERYWHERE = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
"""
STORE = """
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
PROXY = f"""
[pipeline:main]
pipeline = catch_errors cache s3api tempauth bulk slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_{ACCESS_KEY.replace(":", "_")} = {SECRET_KEY} .admin
user_{OTHER_KEY.replace(":", "_")} = {OTHER_SECRET}
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


def write_configuration(folder: Path, ports: dict[str, int]) -> None:
    """Configuration files, and rings of one device."""
    from swift.common.ring import RingBuilder

    (folder / "devices" / "disk").mkdir(parents=True)
    (folder / "swift.conf").write_text(CLUSTER)
    everywhere = EVERYWHERE.format(folder=folder)
    (folder / "proxy.conf").write_text(everywhere + PROXY)
    for name in STORES:
        (folder / f"{name}.conf").write_text(everywhere + STORE.format(name=name))
        ring = RingBuilder(part_power=2, replicas=1, min_part_hours=0)
        address = {"ip": "127.0.0.1", "port": ports[name]}
        address |= {f"replication_{key}": value for key, value in address.items()}
        ring.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "device": "disk", **address})
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{name}.ring.gz"))


def serve(folder: Path) -> int:
    """Start all servers; returns the port of S3."""
    import eventlet
    from eventlet import wsgi
    from swift.common import utils
    from swift.common.storage_policy import reload_storage_policies

    sockets = {name: eventlet.listen(("127.0.0.1", 0)) for name in ("proxy", *STORES)}
    ports = {name: listening.getsockname()[1] for name, listening in sockets.items()}
    write_configuration(folder, ports)
    utils.set_swift_dir(str(folder))
    reload_storage_policies()

    from swift.common.http_protocol import SwiftHttpProtocol
    from swift.common.wsgi import loadapp

    for name, listening in sockets.items():
        app = loadapp(str(folder / f"{name}.conf"))
        eventlet.spawn(wsgi.server, listening, app, utils.NullLogger(), protocol=SwiftHttpProtocol)
    return ports["proxy"]


def end_with_standard_input() -> None:
    """End this process when whoever started it has ended, however that was."""
    from eventlet import patcher

    def wait() -> None:
        sys.stdin.read()
        os._exit(0)

    patcher.original("threading").Thread(target=wait, daemon=True).start()


def main() -> None:
    """Serve until standard input ends."""
    import eventlet
    from swift.common import utils

    utils.monkey_patch()
    port = serve(Path(sys.argv[1]))
    print(port, flush=True)
    end_with_standard_input()
    while True:
        eventlet.sleep(3600)


if __name__ == "__main__":
    main()
