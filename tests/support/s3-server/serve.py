#!/usr/bin/python3
"""An S3 server for tests: OpenStack Swift with its s3api, as Debian's python3-swift has it.

usage: /usr/bin/python3 serve.py FOLDER PORT ACCOUNT:USER SECRET

Everything it has lies below FOLDER and it listens on 127.0.0.1 only. Started again on the same
folder it has the objects that were there. One device, one replica, and no daemons that repair or
expire: it shows how a client and a server get on, not what Swift does when disks fail.

It prints READY when it answers, or FAILED and why. It ends, with all its processes, when its
standard input does, on SIGTERM, and when one of its processes ends.
"""

import ctypes
import getpass
import os
import signal
import sys
import time
import traceback

from eventlet.hubs import use_hub
from eventlet.patcher import monkey_patch, original

HOST = '127.0.0.1'
BACKENDS = ('account', 'container', 'object')
STOP_SECONDS = 3
POLL_SECONDS = 0.02
PR_SET_PDEATHSIG = 1

COMMON = """[DEFAULT]
bind_ip = {host}
bind_port = {port}
user = {user}
swift_dir = {settings}
devices = {devices}
mount_check = false
workers = 0
backlog = 4096
log_level = INFO
log_address = {folder}/no-such-socket
log_udp_host =
log_custom_handlers = swift_parts.log_to_file
log_requests = false
fallocate_reserve = 0
"""

# There is one of each server, so the proxy keeps asking one that failed: Swift leaves such a server
# alone for a minute, and meanwhile says that there is no bucket.
PATIENT = 'conn_timeout = 60\nerror_suppression_limit = 1000000000'
# A put waits until its row is in the container, so that a listing after it shows it.
BACKEND = """[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
{more}
"""
MORE = {'object': 'container_update_timeout = 60\nmb_per_sync = 64'}

PROXY_FILTERS = ('catch_errors', 'gatekeeper', 'healthcheck', 'listing_formats', 'bulk', 'copy', 'slo', 'dlo')
PROXY = """[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth bulk copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = false
node_timeout = 60
recoverable_node_timeout = 60
{patient}
[filter:cache]
paste.filter_factory = swift_parts:cache_factory
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret} .admin
"""


class Layout:
    """Where things lie below the folder."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.settings = os.path.join(self.folder, 'settings')
        self.devices = os.path.join(self.folder, 'devices')
        self.logs = os.path.join(self.folder, 'logs')
        for path in (self.settings, os.path.join(self.devices, 'one'), self.logs):
            os.makedirs(path, exist_ok=True)

    def setting(self, name):
        return os.path.join(self.settings, name)


def write(path, text):
    with open(path, 'w') as file:
        file.write(text)


def free_port():
    with original('socket').socket() as found:
        found.bind((HOST, 0))
        return found.getsockname()[1]


def backend_ports(layout):
    """The ports of the servers behind the proxy: the ring bears them, so they stay as they are."""
    path = layout.setting('ports')
    if not os.path.exists(path):
        write(path, ' '.join(str(free_port()) for _ in BACKENDS))
    with open(path) as file:
        return dict(zip(BACKENDS, map(int, file.read().split())))


def write_settings(layout, ports, port, identity, secret):
    account, user = identity.split(':')
    common = {
        'host': HOST,
        'user': getpass.getuser() if os.geteuid() else 'root',
        'settings': layout.settings,
        'devices': layout.devices,
        'folder': layout.folder,
    }
    write(layout.setting('swift.conf'), '[swift-hash]\nswift_hash_path_suffix = tests\n'
          '[storage-policy:0]\nname = one\ndefault = yes\n')
    for kind in BACKENDS:
        text = COMMON.format(port=ports[kind], **common)
        text += BACKEND.format(kind=kind, more=MORE.get(kind, ''))
        write(layout.setting(kind + '-server.conf'), text)
    text = COMMON.format(port=port, **common)
    text += PROXY.format(account=account, user=user, secret=secret, patient=PATIENT)
    text += ''.join('[filter:%s]\nuse = egg:swift#%s\n' % (name, name) for name in PROXY_FILTERS)
    write(layout.setting('proxy-server.conf'), text)


def write_rings(layout, ports):
    from swift.common.ring import RingBuilder
    for kind in BACKENDS:
        path = layout.setting(kind + '.ring.gz')
        if os.path.exists(path):
            continue
        # 16 partitions, one replica, one device.
        builder = RingBuilder(4, 1, 1)
        builder.add_dev({
            'id': 0, 'region': 1, 'zone': 1, 'weight': 1, 'device': 'one',
            'ip': HOST, 'port': ports[kind],
            'replication_ip': HOST, 'replication_port': ports[kind],
        })
        builder.rebalance()
        builder.get_ring().save(path)


def load_servers(layout):
    """Loads all that the servers need, once for all of them.

    Eventlet's replacements come first: for every lock that there is by then it collects all garbage
    and looks at every object, which takes each server longer than everything else.
    """
    monkey_patch(all=False, socket=True, select=True, thread=True)
    # The one path that no setting of a server changes.
    import swift.common.utils
    swift.common.utils.SWIFT_CONF_FILE = layout.setting('swift.conf')
    import swift.account.server
    import swift.common.middleware.s3api.s3api
    import swift.common.wsgi
    import swift.container.server
    import swift.obj.server
    import swift.proxy.server


def run_server(layout, kind):
    """Runs one server in this process until it ends: its exit status."""
    from swift.common import wsgi
    # Or what waits for sockets would be one with that of the process that this one was forked from.
    use_hub()
    more = {}
    if kind == 'object':
        from swift.obj.server import global_conf_callback
        more['global_conf_callback'] = global_conf_callback
    try:
        return wsgi.run_wsgi(layout.setting(kind + '-server.conf'), kind + '-server', **more) or 0
    except BaseException:
        write(os.path.join(layout.logs, kind + '.crash'), traceback.format_exc())
        return 1


def start_server(layout, kind):
    parent = os.getpid()
    child = os.fork()
    if child > 0:
        return child
    # Dies with the parent, however that ends; which may have been before this line.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os._exit(run_server(layout, kind) if os.getppid() == parent else 1)


def answers(port):
    try:
        original('socket').create_connection((HOST, port), 0.2).close()
        return True
    except OSError:
        return False


def stop(children):
    for child in children:
        try:
            os.kill(child, signal.SIGTERM)
        except OSError:
            pass
    end = time.time() + STOP_SECONDS
    # What has not ended by then is killed when this process ends.
    while time.time() < end:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(POLL_SECONDS)
        except ChildProcessError:
            break
    os._exit(0)


def fail(kind, children):
    print('FAILED: the %s server ended' % kind, flush=True)
    stop(children)


def stop_at_end_of_input():
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main(folder, port, identity, secret):
    layout = Layout(folder)
    ports = backend_ports(layout)
    write_settings(layout, ports, port, identity, secret)
    load_servers(layout)
    os.environ['PAGELEDGER_S3_LOGS'] = layout.logs
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    write_rings(layout, ports)
    children = {start_server(layout, kind): kind for kind in (*BACKENDS, 'proxy')}
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop(children))
    original('threading').Thread(target=stop_at_end_of_input, daemon=True).start()
    while not all(answers(each) for each in (*ports.values(), port)):
        ended, _ = os.waitpid(-1, os.WNOHANG)
        if ended:
            fail(children.pop(ended), children)
        time.sleep(POLL_SECONDS)
    print('READY', flush=True)
    ended, _ = os.wait()
    fail(children.pop(ended), children)


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
