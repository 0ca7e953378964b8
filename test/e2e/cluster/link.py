"""A way to the provider that can be cut: connections are refused, and the provider forgets nothing meanwhile."""

import socket
import threading


class Link:
    def __init__(self, port):
        self.target, self.port = port, 0
        self.listener, self.open_sockets = None, set()
        self.lock = threading.Lock()
        self.mend()

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def mend(self):
        """Goes on at the same port."""
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def cut(self):
        """Ends what is open; whoever connects is refused."""
        with self.lock:
            open_sockets, self.open_sockets = self.open_sockets, set()
        if self.listener is None:
            return
        # A thread that waits in accept() keeps the socket listening until it is woken.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = None
        for each in open_sockets:
            self._end(each)

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            with self.lock:
                self.open_sockets |= {near, far}
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source, destination):
        try:
            while data := source.recv(65536):
                destination.sendall(data)
        except OSError:
            pass
        with self.lock:
            self.open_sockets -= {source, destination}
        self._end(source)
        self._end(destination)

    @staticmethod
    def _end(each):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        each.close()
