"""A real SLURM of two nodes on this machine, started and stopped by root: Debian's slurm-wlm and munge."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdTimeout=15
SlurmctldTimeout=15
KillWait=5
InactiveLimit=0
MinJobAge=10
NodeName=node[1-2] NodeAddr=127.0.0.1 NodeHostname={host} Port=[16819-16820] CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=all Nodes=node[1-2] Default=YES MaxTime=INFINITE State=UP
"""


def lacking():
    """Return what is not there that it takes; empty where nothing is missing."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    return "root" if os.geteuid() else ", ".join(missing)


class Slurm:
    """Two nodes, ``node1`` and ``node2``; commands go to them by ``environ``."""

    def __init__(self, folder):
        self.folder, self.nodes = folder, {}
        for name in ("state", "spool", "munge"):
            (folder / name).mkdir(parents=True)
        (folder / "slurm.conf").write_text(CONF.format(folder=folder, host=socket.gethostname()))
        self.environ = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons = [self._munge()]

    def start(self):
        """Return once both nodes are there."""
        self.daemons.append(self._start("slurmctld", "-D", "-i"))
        for name in ("node1", "node2"):
            self.add(name)
        self.wait(lambda: self.said("sinfo", "-h", "-o", "%t %D").split() == ["idle", "2"], 60)

    def _munge(self):
        user, place = pwd.getpwnam("munge"), self.folder / "munge"
        key = place / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        for path in (place, key):
            os.chown(path, user.pw_uid, user.pw_gid)
        words = {"key-file": key, "socket": place / "socket", "pid-file": place / "pid", "log-file": place / "log",
                 "seed-file": place / "seed"}  # fmt: skip
        options = [f"--{name}={path}" for name, path in words.items()]
        # its parents belong to whoever runs the tests
        words = {"user": user.pw_uid, "group": user.pw_gid, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(["munged", "-F", "-f", *options], **words)

    def _start(self, *command):
        with (self.folder / f"{command[0]}.out").open("a") as out:
            return subprocess.Popen(command, env=self.environ, stdout=out, stderr=out)

    def add(self, name):
        """Start the node *name*."""
        (self.folder / "spool" / name).mkdir(exist_ok=True)
        self.nodes[name] = self._start("slurmd", "-D", "-N", name)

    def lose(self, name):
        """Kill the node *name* and all that runs on it, as a machine that loses its power."""
        self.nodes[name].kill()
        self.nodes[name].wait()
        for pid in self.pids(name):
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def pids(self, name):
        """Return the process groups of jobs on the node *name*."""
        found = set()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                words = path.read_bytes().split(b"\0")
                if f"SLURMD_NODENAME={name}".encode() in words:
                    found.add(os.getpgid(int(path.parent.name)))
        return found - {os.getpgid(0)}

    def said(self, *command):
        """Return what a command of SLURM prints."""
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False).stdout

    def queue(self):
        """Return the jobs there are, a line for each: its number, state and node."""
        return self.said("squeue", "-h", "-o", "%i %t %N").splitlines()

    def wait(self, holds, seconds):
        """Return how many seconds it took until *holds* returned true; AssertionError after *seconds*."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < seconds, f"not within {seconds} s: {self.queue()}"
            time.sleep(0.2)
        return time.monotonic() - began

    def stop(self):
        """End all jobs and daemons."""
        self.said("scancel", "--user", "root")
        with suppress(AssertionError):
            self.wait(lambda: not self.queue(), 15)
        for name in self.nodes:
            self.lose(name)
        for process in reversed(self.daemons):
            process.terminate()
            process.wait()


@contextmanager
def slurm(folder):
    """Yield a SLURM whose files lie in *folder*."""
    made = Slurm(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
