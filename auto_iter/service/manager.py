"""The user's systemd: units put in, taken out and asked about, by `systemctl --user`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from auto_iter.errors import AutoIterError
from auto_iter.files import write_atomically

PATIENCE_S = 60.0
ASKED = (
    "LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "StatusText", "NRestarts"
)  # fmt: skip
ON_HOST = "ConditionHost="
RESTARTED_BY_ITSELF = "auto-restart"


class UserManager:
    """systemd for this user. Every method raises AutoIterError where there is none."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        config = env.get("XDG_CONFIG_HOME") or Path(env.get("HOME", "/")) / ".config"
        self._units = Path(config) / "systemd/user"

    def path(self, unit: str) -> Path:
        """Return where a unit file is, or would be."""
        return self._units / unit

    def install(self, unit: str, text: str) -> None:
        """Write a unit, enable it, and start it without waiting for its start."""
        self._call("show-environment")  # nothing is written where nobody would read it
        path = self.path(unit)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
        self._call("daemon-reload")
        self._call("reset-failed", unit, may_fail=True)
        self._call("enable", unit)
        self._call("start", "--no-block", unit)

    def uninstall(self, unit: str) -> bool:
        """Stop and disable a unit and remove its file; False when it was not there."""
        self._call("show-environment")
        if not self.path(unit).exists():
            return False
        self._call("disable", "--now", unit)
        self.path(unit).unlink(missing_ok=True)
        self._call("daemon-reload")
        self._call("reset-failed", unit, may_fail=True)
        return True

    def properties(self, unit: str) -> dict[str, str]:
        """Return what systemd knows of a unit."""
        said = self._call("show", unit, f"--property={','.join(ASKED)}")
        pairs = (line.partition("=") for line in said.splitlines() if "=" in line)
        return {name: value for name, _, value in pairs}

    def host_of(self, unit: str) -> str | None:
        """Return the host that a unit was installed for; None where it is not there."""
        try:
            text = self.path(unit).read_text()
        except OSError:
            return None
        lines = (line for line in text.splitlines() if line.startswith(ON_HOST))
        return next((line.removeprefix(ON_HOST) for line in lines), None)

    def lingers(self) -> bool | None:
        """Tell whether the user's services outlive his logins; None where nobody knows."""
        said = _said(["loginctl", "show-user", str(os.getuid()), "--property=Linger"], self._env)
        return None if said.returncode else said.stdout.strip() == "Linger=yes"

    def _call(self, *arguments: str, may_fail: bool = False) -> str:
        done = _said(["systemctl", "--user", "--no-pager", *arguments], self._env)
        if done.returncode and not may_fail:
            why = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise AutoIterError(
                f"systemd does not serve this user here: {why}; "
                "without it: nohup auto-iter resume WORKSPACE &"
            )
        return done.stdout


def _said(command: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"no program {command[0]}")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]} does not answer")


def in_words(properties: Mapping[str, str], unit: str) -> str:
    """Return how a service stands, in a line."""
    if properties.get("LoadState") == "not-found":
        return "no service is installed"
    match properties.get("ActiveState"):
        case "activating" if properties.get("SubState") == RESTARTED_BY_ITSELF:
            return f"ended ({_why(properties)}) and is started again in a minute"
        case "activating":
            return "waits until workspace and program can be read: is there a ticket?"
        case "active" | "reloading" | "deactivating":
            restarts = int(properties.get("NRestarts") or 0)
            again = f" (restarted {restarts} times)" if restarts else ""
            return f"{properties.get('StatusText') or 'runs'}{again}"
        case "failed":
            return f"ended ({_why(properties)}); journalctl --user -u {unit}"
    return f"does not run; systemctl --user start {unit}"


def _why(properties: Mapping[str, str]) -> str:
    if properties.get("Result") == "exit-code":
        return f"exit code {properties.get('ExecMainStatus')}"
    return properties.get("Result") or "unknown"
