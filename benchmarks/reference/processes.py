"""A benchmark's engines, each a process of its own that answers when it is asked."""

import contextlib
import json
import os
import subprocess
import tempfile


@contextlib.contextmanager
def engine(name, command, backend=""):
    """Start an engine by a command; yields `ask(request, *arguments)`. Nothing of it outlives the block.

    A request and its answer are a line of JSON each. `backend` is what Keras shall use.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several engines share a GPU
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, env=environment, stderr=errors, start_new_session=True, **pipes) as running,
    ):

        def ask(*request):
            with contextlib.suppress(BrokenPipeError):  # the empty answer tells
                print(json.dumps(request), file=running.stdin, flush=True)
            answer = running.stdout.readline()
            if not answer:
                errors.seek(0)
                raise SystemExit(
                    f"{name} must answer. Received: nothing, and this on the way:\n{errors.read()[-4000:]}"
                )
            return json.loads(answer)

        try:
            yield ask
        finally:
            running.kill()


def answer(requests, answers):
    """Answer each line of `requests` by the function of that name, until there are no more."""
    for line in requests:
        name, *arguments = json.loads(line)
        print(json.dumps(answers[name](*arguments)), flush=True)
