"""A real Slurm of one node for tests: as root, without systemd and cgroups, loopback only, in a folder of its own."""

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress

import psutil

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")


class Unavailable(Exception):
    """Slurm is installed but does not start here."""


SETTINGS = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
# without these the daemons listen on every interface
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# what a requeued job has to wait for follows from the life of a credential
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# two jobs side by side wherever the tests run
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MailProg=/bin/true
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
# a lost node is noticed after half a minute, and used again as soon as it is back
SlurmdTimeout=30
ReturnToService=2
JobRequeue=1
KillWait=60
SchedulerParameters=sched_interval=1,bf_interval=2,requeue_delay=1
NodeName=node0 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory={memory} Gres=gpu:2
PartitionName=main Nodes=node0 Default=YES MaxTime=INFINITE PriorityTier=1 GraceTime=60 OverSubscribe=NO
PartitionName=urgent Nodes=node0 MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
"""
NODE = ["slurmd", "-N", "node0"]


@contextmanager
def running(folder):
    """Start munged, slurmctld and slurmd; yield what the environment of Slurm's commands needs; end all three.

    Raises Unavailable where one of them does not come up.
    """
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o755)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    try:
        for number in range(2):  # character devices like /dev/null stand in for GPUs: regular files are refused
            os.mknod(folder / f"gpu{number}", 0o20666, os.makedev(1, 3))
    except OSError as error:
        raise Unavailable(f"a device node: {error}") from error
    (folder / "gres.conf").write_text(f"AutoDetect=off\nName=gpu File={folder}/gpu[0-1]\n")
    settings = SETTINGS.format(
        folder=folder,
        ports=_free_ports(2),
        host=socket.gethostname().split(".")[0],
        memory=psutil.virtual_memory().total // 2**20 * 9 // 10,
    )
    (folder / "slurm.conf").write_text(settings)
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    munge = folder / "munge"
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    daemons = {
        munge / "pid": ["munged", "--force", *(f"--{option}={munge / name}" for option, name in files.items())],
        folder / "slurmctld.pid": ["slurmctld", "-c"],
        folder / "slurmd.pid": NODE,
    }
    try:
        for command in daemons.values():
            _start(command, environment)
        _wait_for_node(environment, folder)
        yield environment
    finally:
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["scancel", "--quiet", "--user=root"], env=environment, check=True, timeout=60)
            _wait_for_jobs(environment)
        _end([path for path in reversed(daemons) if path.is_file()])


def lose_node(folder):
    """Kill slurmd and all that it runs at one stroke, as a node loses power; Slurm notices after SlurmdTimeout."""
    lost = [psutil.Process(int((folder / "slurmd.pid").read_text()))]
    for step in psutil.process_iter():
        if step.name() == "slurmstepd":
            lost += [step, *step.children(recursive=True)]
    for process in lost:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def return_node(folder):
    """Start slurmd again after `lose_node`, and give it jobs once it is up.

    While it starts, it clears away the script of every job that it does not know, a new job's too.
    """
    _set_partition("DOWN")
    _start(NODE, os.environ)
    _wait_for_node(os.environ, folder)
    time.sleep(2)
    _set_partition("UP")


def said(folder):
    """Return what the queue, the node and the daemons say, for a test that waited in vain."""
    commands = ["squeue"], ["scontrol", "show", "job"], ["scontrol", "show", "node"]
    answers = [subprocess.run(command, capture_output=True, text=True).stdout for command in commands]
    return "\n".join([*answers, *_logs(folder)])


def _set_partition(state):
    subprocess.run(["scontrol", "update", "PartitionName=main", f"State={state}"], check=True, timeout=60)


def _logs(folder):
    return [path.read_text()[-2000:] for path in folder.glob("*.log")]


def _start(command, environment):
    try:
        subprocess.run(command, env=environment, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(str(error)) from error


def _free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_for_node(environment, folder, *, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        command = ["sinfo", "-h", "-p", "main", "-o", "%T"]
        said = subprocess.run(command, env=environment, capture_output=True, text=True)
        if said.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    raise Unavailable("\n".join(_logs(folder)))


def _wait_for_jobs(environment, *, seconds=60):
    """Wait until no job is left: without slurmctld its last processes would wait for an answer, and slurmd for them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and subprocess.check_output(["squeue", "-h"], env=environment, timeout=60):
        time.sleep(0.5)


def _end(pid_files):
    processes = []
    for path in pid_files:
        try:
            processes.append(psutil.Process(int(path.read_text())))
            processes[-1].send_signal(signal.SIGTERM)
        except (psutil.NoSuchProcess, ValueError):
            continue
    deadline = time.monotonic() + 30  # where pid 1 reaps nobody, what has ended stays as a zombie
    while time.monotonic() < deadline and any(
        each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes
    ):
        time.sleep(0.2)
