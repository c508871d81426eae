"""What a service manager is told of us: sd_notify(3), in as much of it as a daemon needs.

systemd hands a service a datagram socket (`NOTIFY_SOCKET`) and how often it wants a sign of life
(`WATCHDOG_USEC`). Without them nothing is sent, and whatever becomes of the socket, an alignment
goes on.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import socket
import time
from collections.abc import Callable, Mapping

BEATS = 4
"""Signs of life in the time after which a silent service is killed."""

SEND_TIMEOUT_S = 1.0


class ServiceManager:
    """The manager of this process, if it has one. `watchdog_s`: the longest silence it bears."""

    def __init__(
        self,
        address: str | None = None,
        watchdog_s: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._pause_s = None if watchdog_s is None else watchdog_s / BEATS
        self._monotonic = monotonic
        self._last_beat: float | None = None
        self._last_status = ""

    @classmethod
    def of(cls, env: Mapping[str, str]) -> ServiceManager:
        """Return who has started us, by the environment that we were given."""
        address = env.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls()
        period = env.get("WATCHDOG_USEC", "")
        is_meant = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        has_watchdog = is_meant and period.isdecimal() and int(period) > 0
        return cls(address, int(period) / 1e6 if has_watchdog else None)

    @property
    def is_there(self) -> bool:
        """Whether anybody is told anything."""
        return self._address is not None

    def ready(self) -> None:
        """Say that the service has started, and let the watchdog's SIGABRT say where it hangs."""
        if self.is_there:
            faulthandler.enable()
        self._send("READY=1")

    def tell(self, status: str) -> None:
        """Say in one line how things stand; the same line is not said twice."""
        line = " ".join(status.split())
        if line != self._last_status:
            self._last_status = line
            self._send(f"STATUS={line}")

    def beat(self) -> None:
        """Give a sign of life; may be called as often as one likes."""
        now = self._monotonic()
        if self._pause_s is None:
            return
        if self._last_beat is None or now - self._last_beat >= self._pause_s:
            self._last_beat = now
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the service is about to end."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        # A name that begins with @ is in the abstract namespace, unix(7).
        address = self._address.encode()
        address = b"\0" + address[1:] if address.startswith(b"@") else address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.settimeout(SEND_TIMEOUT_S)
            sender.sendto(message.encode(), address)
