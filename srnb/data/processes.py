"""Batches made by processes of their own, where threads would only wait for one another's Python.

A process reads a `Patches`, then one number of a step after the other, and answers each with the batch in 8-bit levels.
It ends where its input ends, so none is left behind, however its parent has ended. It is started as a plain command:
`multiprocessing` would import the user's script or notebook a second time.
"""

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys

from srnb.data import images

COMMAND = "from srnb.data import processes; processes.serve()"


class Pool:
    """`count` processes that make batches of `source`; `batch` may be called by as many threads at a time."""

    def __init__(self, source, count):
        # its kernels are many and small, and there are as many processes as cores to use
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        command = [sys.executable, "-P", "-c", COMMAND]  # -P: nothing is imported from the working directory
        self._all = [subprocess.Popen(command, env=environment, **pipes) for _ in range(count)]
        self._idle = queue.SimpleQueue()
        for process in self._all:
            _send(process.stdin, source)
            self._idle.put(process)

    def batch(self, step):
        """Return what `Patches.batch` returns, or raise what it raises.

        Raises RuntimeError if the process has died, as for want of memory.
        """
        process = self._idle.get()
        try:
            _send(process.stdin, step)
            answer = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            status = process.wait()
            raise RuntimeError(f"a process that makes batches must not end. Received: exit status {status}") from None
        finally:
            self._idle.put(process)
        if isinstance(answer, Exception):
            raise answer
        return tuple(map(images.from_uint8, answer))

    def close(self):
        """End the processes, whatever they are doing."""
        for process in self._all:
            process.kill()
        for process in self._all:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # what was not sent is lost
                    pipe.close()


def serve():
    """Answer a parent on standard input and output until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all processes; the parent decides
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr  # a print must not end up among the answers
    with contextlib.suppress(EOFError, BrokenPipeError):
        source = pickle.load(sys.stdin.buffer)
        while True:
            step = pickle.load(sys.stdin.buffer)
            try:
                answer = source.levels(step)
            except Exception as error:
                answer = error
            _send(answers, answer)
    os._exit(0)  # without flushing to a parent that has gone


def _send(pipe, value):
    pickle.dump(value, pipe, protocol=5)
    pipe.flush()
