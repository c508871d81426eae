"""What everybody else has to know of HTCondor as a batch system."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import ClassVar

from auto_iter.alignment.model import Batch
from auto_iter.alignment.policy import Pace
from auto_iter.alignment.ports import BatchSystem
from auto_iter.batch.driver import BatchDriver, Check, DiskUse, Home
from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.batch.htcondor.schedd.protocol import make_sure_we_are_known
from auto_iter.batch.htcondor.shared import SharedPolls
from auto_iter.batch.htcondor.submit import refuse_eos, refuse_path, submit_description, submit_file
from auto_iter.batch.htcondor.system import HTCondorBatch
from auto_iter.config.schema import Config
from auto_iter.errors import InputError


def condor_config(env: Mapping[str, str]) -> Path | None:
    """Return HTCondor's configuration, found by its own rule; None where there is none."""
    places = [env.get("CONDOR_CONFIG"), "/etc/condor/condor_config"]
    return next((Path(place) for place in places if place and Path(place).exists()), None)


def _configured(env: Mapping[str, str]) -> str:
    found = condor_config(env)
    if found is None:
        raise InputError(
            "HTCondor is not configured on this machine: neither CONDOR_CONFIG nor "
            "/etc/condor/condor_config leads to a file",
            "log in where it is (lxplus), set CONDOR_CONFIG, or run the jobs here with "
            "--batch local",
        )
    return str(found)


class HTCondorDriver(BatchDriver):
    """Jobs on a schedd, which is others' too, and refuses what it cannot read."""

    name: ClassVar[str] = "htcondor"

    def __init__(self, config: Config) -> None:
        self._config = config.htcondor

    @staticmethod
    def is_set_up(env: Mapping[str, str]) -> bool:
        """Tell whether HTCondor is configured here, for tools or daemons."""
        return condor_config(env) is not None

    @staticmethod
    def made(key: str) -> bool:
        """Tell whether a key names a schedd."""
        return "@" in key

    @property
    def pace(self) -> Pace:
        """A schedd is others' too, and only a poll tells that the last spooled job has ended."""
        interval_s = self._config.min_poll_interval_s
        return Pace(interval_s, at_end_s=interval_s if self._config.spool else None)

    @property
    def cpus(self) -> int:
        """Processors of one job."""
        return self._config.request_cpus

    @property
    def disk_use(self) -> DiskUse:
        """Spooled outputs are fetched by us; other jobs write into the workspace, at their end."""
        return DiskUse.NOTHING if self._config.spool else DiskUse.DELIVER

    def submit_file(self, batch: Batch) -> tuple[str, str]:
        """Return `reco.sub`, which `condor_submit` takes as it is."""
        return submit_file(batch, self._config)

    def refuse_machine(self, env: Mapping[str, str]) -> None:
        """Refuse one on which HTCondor is not configured."""
        _configured(env)

    def refuse_place(self, directory: Path) -> None:
        """Refuse what a submit description cannot name, and EOS for jobs that are not spooled."""
        refuse_path(directory)
        refuse_eos({"initialdir": str(directory)}, self._config)

    def refuse_batch(self, batch: Batch) -> None:
        """Refuse likewise all paths of a batch."""
        for path in (batch.directory, batch.executable, *batch.inputs, batch.deliver_to):
            refuse_path(path)
        refuse_eos(submit_description(batch, self._config), self._config)

    @contextmanager
    def checks(self, env: Mapping[str, str]) -> Iterator[Sequence[Check]]:
        """Give configuration, bindings, schedd, authentication and, if wanted, the credential."""
        with closing(self._schedd()) as schedd:

            def located() -> str:
                found = schedd.locate()
                return f"{found['name']}, {found['version'].strip('$ ')}"

            def queue() -> str:
                return f"answers; {schedd.count('true').total} jobs of all users in it"

            def authentication() -> str:
                # Anybody may read: only an attempt to change something shows who we are.
                make_sure_we_are_known(schedd)
                return "we may change our jobs"

            def credential() -> str:
                schedd.store_credential()
                return "stored for our jobs"

            checks = [
                Check("htcondor configuration", lambda: _configured(env)),
                Check("htcondor bindings", schedd.version),
                Check(
                    "schedd",
                    located,
                    "check htcondor.schedd and htcondor.pool; `condor_status -schedd` lists what "
                    "there is",
                ),
                Check("queue", queue, "the schedd is slow or down: try again later"),
                Check(
                    "authentication",
                    authentication,
                    "renew the Kerberos ticket (kinit); check SEC_CLIENT_AUTHENTICATION_METHODS",
                ),
            ]
            if self._config.send_credential:
                remedy = "kinit; or htcondor.send_credential=false where jobs need no ticket"
                checks.append(Check("credential", credential, remedy))
            yield checks

    @contextmanager
    def opened(
        self, home: Home, should_stop: Callable[[], bool], patience_s: float | None = None
    ) -> Iterator[BatchSystem]:
        """Give the clusters of a workspace; the keys that were used are noted."""
        with ExitStack() as resources:
            schedd = resources.enter_context(closing(self._schedd(should_stop, patience_s)))
            place, shared = self._config.shared_polls, None
            if place is not None:
                pages = SharedPolls(
                    place, home.workspace_id, schedd, self._config.pool, time.monotonic
                )
                shared = resources.enter_context(closing(pages))
            keys = home.records / "keys"
            yield HTCondorBatch(
                home.workspace_id, self._config, schedd, records=keys, shared=shared
            )

    def _schedd(
        self, should_stop: Callable[[], bool] = lambda: False, patience_s: float | None = None
    ) -> ScheddProcess:
        return ScheddProcess(
            pool=self._config.pool,
            schedd=self._config.schedd,
            timeout_s=min(self._config.call_timeout_s, patience_s or math.inf),
            should_stop=should_stop,
        )
