"""The files of a DAG in its workspace, in the seed's places; see `batch/htcondor/dagman`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files as shipped
from pathlib import Path

from auto_iter.alignment.snapshot import DagRun
from auto_iter.batch.htcondor.dagman.nodes import FAILED_DIRECTORY, FLAVOUR_JSON, MEMORY_JSON
from auto_iter.batch.htcondor.dagman.submit import (
    FLAVOUR_FILE,
    MEMORY_FILE,
    Program,
    millepede_text,
    policy_text,
)
from auto_iter.batch.htcondor.dagman.text import (
    CONFIG_FILE,
    DAG_FILE,
    POST_SCRIPT,
    Nodes,
    Rules,
    dag_text,
)
from auto_iter.batch.htcondor.flavours import flavours_needed, longer_flavours
from auto_iter.batch.htcondor.submit import EOS, refuse_path
from auto_iter.config.schema import Config
from auto_iter.daemon.lifecycle import Opened, held_out_files, reconstruction
from auto_iter.dag.program import ARCHIVE, pack
from auto_iter.errors import InputError
from auto_iter.files import write_atomically
from auto_iter.workspace.paths import Iteration, Workspace
from conf.job.dag_post import flavour_text, memory_text
from states.decisions.canary import untried


def refuse_place(root: Path) -> None:
    """Raise InputError or UsageError for a workspace from which no DAG could run."""
    refuse_path(root)
    if Path(os.path.realpath(root)).is_relative_to(EOS):
        raise InputError(
            f"{root}: DAGMan works where the schedd runs, which does not see EOS",
            "work on AFS (paths.work_dir), with paths.outputs_dir on EOS; or take the daemon, with "
            "htcondor.spool=true",
        )


@dataclass(frozen=True)
class DagFile:
    """One of the files that DAGMan and its nodes need."""

    path: Path
    text: str
    mode: int = 0o644


def write_dag(opened: Opened, run: DagRun) -> None:
    """Write all that DAGMan needs from the iteration on that the alignment is at.

    Raises OSError. What an earlier run of the DAG left behind, rescue files above all, goes.
    """
    workspace, snapshot = opened.workspace, opened.snapshot
    if opened.config.dag.travel:
        pack(workspace.root / ARCHIVE)  # anew: it is to be the version that writes the DAG
    forget_failures(workspace.iteration(snapshot.iteration, snapshot.arguments.run))
    *others, dag = dag_files(opened, run)
    for each in others:
        each.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(each.path, each.text, mode=each.mode)
    remove_rescue_files(workspace.root)
    write_atomically(dag.path, dag.text)


def dag_files(opened: Opened, run: DagRun) -> Iterator[DagFile]:
    """Return these files, `alignment.dag` the last; nothing is written."""
    root, snapshot, config = opened.workspace.root, opened.snapshot, opened.config
    program, script = _program(opened.workspace, config), _shipped("run_millepede.sh")
    for number in range(snapshot.iteration, snapshot.arguments.iterations + 1):
        place = opened.workspace.iteration(number, snapshot.arguments.run).millepede
        text = millepede_text(root, place, config.htcondor, program, run.key)
        yield DagFile(place / "millepede.sub", text)
        yield DagFile(place / "run_millepede.sh", script, 0o755)
    nodes, least = _nodes(opened), config.reco.min_success_fraction
    policy = policy_text(nodes, least, config.reco.memory_mb, config.htcondor)
    yield DagFile(root / "dag.json", policy)
    yield DagFile(root / POST_SCRIPT, _shipped(POST_SCRIPT), 0o755)
    settings = "".join(f"{name} = {value}\n" for name, value in config.dag.settings.items())
    yield DagFile(root / CONFIG_FILE, settings)
    rules = Rules(
        retries=config.htcondor.max_retries + longer_flavours(config.htcondor),
        millepede_retries=config.dag.retries,
        max_jobs=config.htcondor.max_jobs_in_queue,
    )
    yield DagFile(root / DAG_FILE, dag_text(root, nodes, rules))


def _nodes(opened: Opened) -> Nodes:
    snapshot, mine = opened.snapshot, reconstruction(opened)
    wanted = mine.wanted()
    needs_jobs = snapshot.state in {"prepare", "submit_reco"}
    delivered = mine.delivered(snapshot.iteration) if needs_jobs else wanted
    held_out = held_out_files(opened) & wanted
    is_new = untried(snapshot, opened.config.reco.canary, mine) is not None
    return Nodes(
        iterations=snapshot.arguments.iterations,
        numbers=tuple(sorted(wanted)),
        current=snapshot.iteration,
        delivered=delivered,
        held_out=held_out,
        canary=min(wanted - held_out - delivered, default=None) if is_new else None,
    )


def prepare_nodes(opened: Opened) -> None:
    """Write what the nodes of the iteration that was prepared last need besides `reco.sub`."""
    snapshot = opened.snapshot
    paths = opened.workspace.iteration(snapshot.iteration, snapshot.arguments.run)
    write_atomically(paths.reco / MEMORY_JSON, json.dumps(snapshot.memory_mb))
    text = memory_text(snapshot.memory_mb, opened.config.reco.memory_mb)
    write_atomically(paths.reco / MEMORY_FILE, text)
    usual = opened.config.htcondor.job_flavour
    flavours = {} if usual is None else flavours_needed(snapshot.time_s, usual)
    write_atomically(paths.reco / FLAVOUR_JSON, json.dumps(flavours))
    write_atomically(paths.reco / FLAVOUR_FILE, flavour_text(flavours, usual))


def forget_failures(paths: Iteration) -> None:
    """Remove what is noted of failed nodes: they are tried again."""
    shutil.rmtree(paths.reco / FAILED_DIRECTORY, ignore_errors=True)


def rescue_files(root: Path) -> list[Path]:
    """Return the files from which DAGMan would go on by itself, the latest last."""
    return sorted(root.glob(f"{DAG_FILE}.rescue[0-9][0-9][0-9]"))


def remove_rescue_files(root: Path) -> None:
    """Remove them: `alignment.dag` says itself what is done, and an old one would say less."""
    for path in rescue_files(root):
        path.unlink(missing_ok=True)


def _program(workspace: Workspace, config: Config) -> Program:
    travelling = workspace.root / ARCHIVE if config.dag.travel else None
    python = config.dag.python or ("python3" if config.dag.travel else sys.executable)
    needs_pede = config.millepede.solver != "builtin" and config.paths.pede_install is None
    env = workspace.env_script if needs_pede and config.millepede.solver == "pede" else None
    return Program(python, config.dag.memory_mb, config.dag.disk_mb, env, travelling)


def _shipped(name: str) -> str:
    return shipped("conf").joinpath("job", name).read_text()
