"""What Swift's servers are given by serve.py: logs in files, and a cache inside the process.

A deployment has syslog and memcached for these; a test has neither.
"""

import json
import logging
import logging.handlers
import os
import time

ENTRIES_MAX = 100000

handlers = {}


def log_to_file(conf, name, log_to_console, log_route, fmt, logger, adapted_logger):
    """Sends a server's log to a file of its name instead of to syslog."""
    if name not in handlers:
        path = os.path.join(os.environ['PAGELEDGER_S3_LOGS'], name + '.log')
        handlers[name] = logging.FileHandler(path)
        handlers[name].setFormatter(logging.Formatter('%(asctime)s %(message)s'))
    for handler in list(logger.handlers):
        if isinstance(handler, logging.handlers.SysLogHandler):
            logger.removeHandler(handler)
    if handlers[name] not in logger.handlers:
        logger.addHandler(handlers[name])


class LocalCache:
    """The part of memcached's client that Swift's proxy uses, in a dictionary."""

    memcache_servers = []

    def __init__(self):
        self.entries = {}

    def set(self, key, value, serialize=True, time=0, min_compress_len=0, raise_on_error=False):
        if len(self.entries) >= ENTRIES_MAX:
            self.entries.clear()
        # As text, so that nobody changes what is kept by changing what was given.
        self.entries[key] = (json.dumps(value), now() + time if time else None)

    def get(self, key, raise_on_error=False):
        text, end = self.entries.get(key, (None, None))
        if text is None or (end is not None and end < now()):
            return None
        return json.loads(text)

    def incr(self, key, delta=1, time=0):
        value = max(0, int(self.get(key) or 0) + delta)
        self.set(key, value, time=time)
        return value

    def decr(self, key, delta=1, time=0):
        return self.incr(key, -delta, time)

    def delete(self, key, server_key=None):
        self.entries.pop(key, None)

    def set_multi(self, mapping, server_key, serialize=True, time=0, min_compress_len=0):
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys, server_key):
        return [self.get(key) for key in keys]


def now():
    return time.time()


def cache_factory(conf, **local):
    """A filter that gives every request the cache of its process."""
    cache = LocalCache()

    def wrap(application):
        def answer(environment, start_response):
            environment['swift.cache'] = cache
            return application(environment, start_response)
        return answer
    return wrap
