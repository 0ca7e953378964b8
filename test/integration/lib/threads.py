"""One thread of a process that hangs, by ptrace(2): the others go on, and it comes back when the block ends."""

import contextlib
import ctypes
import os
import time
from pathlib import Path

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_ALL = 0x40000000  # __WALL: threads too
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, thread):
    if _libc.ptrace(request, thread, None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace({request:#x}, {thread}): {os.strerror(error)}")


def named(pid, name):
    """The threads of a process that have this name."""
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text().strip() == name]


class Hanging:
    """A thread that stands still until the block ends, or until its process does."""

    def __init__(self, pid, name):
        self.thread = min(named(pid, name))
        _ptrace(_SEIZE, self.thread)
        _ptrace(_INTERRUPT, self.thread)
        os.waitpid(self.thread, _ALL)

    def wait_for_end(self, process, seconds):
        """The exit status of its process. Whoever traces a thread has to take note of its end, or the process stays."""
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.thread, _ALL | os.WNOHANG)
            time.sleep(0.05)
        return process.poll()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            _ptrace(_DETACH, self.thread)
