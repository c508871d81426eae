"""`alignment.dag`: an alignment as DAGMan reads it. Pure functions on values.

A node for each raw file and iteration, one Millepede node an iteration, each iteration after the
one before. What an iteration reconstructs with, and whether there is a next one, the Millepede node
decides when it gets there: it runs the state machine until that needs jobs again. So the DAG is the
same whatever the strategy. A strategy that needs no more iterations ends the DAG by `ABORT-DAG-ON`.

Commands: HTCondor manual, "DAGMan Workflows". All paths are absolute, so that `condor_submit_dag`
takes the file from any directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from auto_iter.rawfiles import file_tag, run_and_number
from conf.job.dag_post import NOBODY, NOT_AGAIN

DAG_FILE: Final = "alignment.dag"
CONFIG_FILE: Final = "alignment.dag.config"
POST_SCRIPT: Final = "dag_post.py"

OVER: Final = 100
"""Exit code of a Millepede node after which no iteration is needed any more."""
FAILED: Final = 64
"""Exit code of a Millepede node that would end the same way if it were run again.

Not 1, with which Python ends of whatever passes.
"""
_NODE: Final = re.compile(r"R(?P<iteration>\d+)_(?P<number>\d+(?:_\d+)?)|M(?P<solving>\d+)")


def reco_node(iteration: int, number: int) -> str:
    """Return the name of the node that reconstructs a raw file."""
    return f"R{iteration:02d}_{file_tag(number)}"


def millepede_node(iteration: int) -> str:
    """Return the name of the node that solves an iteration and prepares the next one."""
    return f"M{iteration:02d}"


def node_of(name: str) -> tuple[int, int | None]:
    """Return iteration and raw file (None: Millepede) of a node. Raises ValueError."""
    match = _NODE.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no node of an alignment")
    if match["solving"] is not None:
        return int(match["solving"]), None
    return int(match["iteration"]), int(match["number"])


@dataclass(frozen=True)
class Nodes:
    """What has to be run: `iterations`, each of the raw files `numbers`.

    `current`: the iteration that the alignment is at; those before it are done, and of it the raw
    files in `delivered`. `held_out`: those of `numbers` that are not for the fit. `canary`: the raw
    file of that iteration that is tried before the others.
    """

    iterations: int
    numbers: tuple[int, ...]
    current: int = 1
    delivered: frozenset[int] = frozenset()
    held_out: frozenset[int] = frozenset()
    canary: int | None = None

    def is_done(self, iteration: int, number: int) -> bool:
        """Tell whether a raw file has its output, or needs none any more."""
        return iteration < self.current or (iteration == self.current and number in self.delivered)


@dataclass(frozen=True)
class Rules:
    """How often nodes are tried again, and how many reconstruction jobs may be queued at once.

    `retries`: also after jobs that ran too long, which the POST script does not count as tries.
    """

    retries: int
    millepede_retries: int
    max_jobs: int | None = None


def dag_text(root: Path, nodes: Nodes, rules: Rules) -> str:
    """Return the content of `alignment.dag` for the workspace at `root`."""
    return "".join(f"{line}\n" for line in _lines(root, nodes, rules))


def _lines(root: Path, nodes: Nodes, rules: Rules) -> Iterator[str]:
    yield f"# {root.name}, {nodes.iterations} iterations of {len(nodes.numbers)} raw files"
    yield "# by hand: condor_submit_dag alignment.dag; rather: auto-iter dag (see its --help)"
    yield f"CONFIG {root / CONFIG_FILE}"
    if rules.max_jobs is not None:
        yield f"MAXJOBS reco {rules.max_jobs}"
    for iteration in range(1, nodes.iterations + 1):
        yield from _iteration(root, nodes, rules, iteration)


def _iteration(root: Path, nodes: Nodes, rules: Rules, iteration: int) -> Iterator[str]:
    place = root / f"iter{iteration:02d}"
    solving, post = millepede_node(iteration), root / POST_SCRIPT
    yield f"# iteration {iteration}"
    for number in nodes.numbers:
        node = reco_node(iteration, number)
        done = " DONE" if nodes.is_done(iteration, number) else ""
        yield f"JOB {node} {place}/1reco/reco.sub{done}"
        yield f"VARS {node} {_variables(number)}"
        tag = file_tag(number)
        yield f"SCRIPT POST {node} {post} {place}/1reco {tag} $RETURN $RETRY"
        yield f"RETRY {node} {rules.retries} UNLESS-EXIT {NOT_AGAIN}"
        yield f"ABORT-DAG-ON {node} {NOBODY} RETURN 1"
        if rules.max_jobs is not None:
            yield f"CATEGORY {node} reco"
    done = " DONE" if iteration < nodes.current else ""
    yield f"JOB {solving} {place}/3millepede/millepede.sub{done}"
    yield f"RETRY {solving} {rules.millepede_retries} UNLESS-EXIT {FAILED}"
    yield f"ABORT-DAG-ON {solving} {OVER} RETURN 0"
    all_nodes = " ".join(reco_node(iteration, number) for number in nodes.numbers)
    if iteration > 1:
        yield f"PARENT {millepede_node(iteration - 1)} CHILD {all_nodes}"
    if nodes.canary is not None and iteration == nodes.current:
        others = set(nodes.numbers) - nodes.delivered - {nodes.canary}
        waiting = " ".join(reco_node(iteration, number) for number in sorted(others))
        if waiting:
            yield f"PARENT {reco_node(iteration, nodes.canary)} CHILD {waiting}"
    yield f"PARENT {all_nodes} CHILD {solving}"


def _variables(number: int) -> str:
    values = {**names(number), "rawfile": str(number)}
    return " ".join(f'{name}="{value}"' for name, value in values.items())


def names(number: int) -> dict[str, str]:
    """Return the variables by which `reco.sub` says of which raw file a job is."""
    run, file = run_and_number(number, None)
    of_several = {"run": f"{run:06d}", "file": f"{file:05d}"} if run else {}
    return {"number": file_tag(number), **of_several}
