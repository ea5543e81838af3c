"""A whole run with a grid, killed at twenty random moments, and two that resume one run at the same instant."""

import json
import random
import signal
import subprocess
import time

import psutil
import pytest
import tiny

pytestmark = pytest.mark.slow

KILLS, SEED = 20, 0


def start(*arguments, folder):
    command = [tiny.PROGRAM, "run", *map(str, arguments)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=folder, env=tiny.ENVIRONMENT, **streams)


def killed(process, seconds):
    """Kill a runner after some time; return its kernels, or None if it came to its end before."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        kernels = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        return kernels
    assert process.returncode == 0, process.stdout.read()
    return None


def together(folder, name):
    """Resume a run twice at one instant; return (exit code, output) of both, the refused one last."""
    both = [start("--resume", name, "--results", folder, folder=folder) for _ in range(2)]
    return sorted(((process.wait(), process.stdout.read()) for process in both), key=lambda answer: answer[0])


def test_twenty_kills(results, tmp_path):
    preset = tiny.preset(results.parent)
    whole = json.loads((results / "tiny" / "run.json").read_text())["seconds"]
    generator, kills, runs = random.Random(SEED), 0, []
    while kills < KILLS:
        runs.append(f"tiny-{len(runs)}")
        arguments = ["--preset", preset, "--grid", "smoke", "--run", runs[-1]]
        orphans = []
        while orphans is not None and kills < KILLS:
            process = start(*arguments, "--results", tmp_path, folder=tmp_path)
            while not (tmp_path / runs[-1] / "run.json").exists() and process.poll() is None:
                time.sleep(0.05)
            # whoever goes on at once must not meet those whose runner was killed
            assert psutil.wait_procs(orphans, timeout=10)[1] == []
            orphans = killed(process, generator.uniform(0, whole / 4))
            kills += orphans is not None
            arguments = ["--resume", runs[-1]]
    answers = together(tmp_path, runs[-1])
    assert [status for status, _ in answers] == [0, 1], answers
    assert "Error: a run must not be going on already" in answers[1][1]
    assert all("Traceback" not in output for _, output in answers)
    for name in runs:
        for suffix in ("", "-no-adversarial"):
            assert (tmp_path / (name + suffix) / "DONE").is_file()
            expected = tiny.numbers(results / f"tiny{suffix}")
            assert tiny.numbers(tmp_path / (name + suffix)).replace(name, "tiny") == expected
    print(f"{kills} kills in {len(runs)} runs")
