"""Many `srnb` commands, each in a process of its own that is forked once all is imported: a fortieth of the time.

    python tests/hostile/commands.py FILE

FILE holds a list of commands as JSON, each a list of arguments. Their answers take its place: exit code, negative after
a signal, and what both streams said. A command that takes longer than LIMIT seconds is killed. Nothing may be computed
before the fork: a framework's threads would not survive it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

LIMIT = 300  # seconds


def answers(commands):
    """Run commands, each a list of arguments; return (exit code, output) of each, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "commands.json"
        file.write_text(json.dumps([[str(argument) for argument in command] for command in commands]))
        environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
        subprocess.run([sys.executable, __file__, str(file)], check=True, env=environment)
        return [tuple(answer) for answer in json.loads(file.read_text())]


def _answer(arguments):
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = os.fork()
        if process == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            signal.alarm(LIMIT)
            _child(arguments)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        output.seek(0)
        return status, output.read()


def _child(arguments):
    from srnb.cli import main

    status = 1
    try:
        main(arguments, prog_name="srnb")
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    import srnb.cli.notebooks
    import srnb.evaluation.inference
    import srnb.models
    import srnb.reports.report
    import srnb.runner.grid  # noqa: F401

    file = Path(sys.argv[1])
    file.write_text(json.dumps([_answer(command) for command in json.loads(file.read_text())]))
