"""Many connections held open at once."""

import selectors
import time

from target import hear


class Watch:
    """Many open connections, and those among them that the server has ended."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.open = set()

    def add(self, sock):
        sock.setblocking(False)
        self.selector.register(sock, selectors.EVENT_READ)
        self.open.add(sock)

    def drop(self, sock):
        self.selector.unregister(sock)
        self.open.discard(sock)

    def ended(self, seconds):
        """Waits so long for any of them to say something or to end, and gives those."""
        return [key.fileobj for key, _ in self.selector.select(seconds)]


def hold(target, opened, drip=None, again=None):
    """Keeps them open until the time is over, sends each a drop each second, opens another for each that the server ends."""
    watch = Watch()
    for sock in opened:
        watch.add(sock)
    next_drop = time.monotonic() + 1
    while not target.is_over():
        for sock in watch.ended(min(0.2, target.left())):
            word = hear(sock, 0)
            if word == "silence":  # TLS's own talk, or an answer that has not ended yet
                continue
            target.ends[word] += 1
            watch.drop(sock)
            sock.close()
            fresh = again() if again and not target.is_over() else None
            if fresh:
                watch.add(fresh)
        if drip and time.monotonic() >= next_drop:
            next_drop += 1
            for sock in list(watch.open):
                drop(target, watch, sock, drip)
    target.settle(watch.open)


def drop(target, watch, sock, data):
    try:
        sock.send(data)
        target.n_bytes += len(data)
    except BlockingIOError:
        pass
    except OSError:
        pass  # its end is seen by the watch
