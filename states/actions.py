"""What is done in each acting state. Apart from the package, which who asks for the table loads."""

from __future__ import annotations

from collections.abc import Mapping

from states import mille, next_iteration, pede, prepare, submit_reco, wait_reco
from states.step import State

ALL: Mapping[str, State] = {
    "prepare": prepare.run,
    "submit_reco": submit_reco.run,
    "wait_reco": wait_reco.run,
    "mille": mille.run,
    "pede": pede.run,
    "next_iteration": next_iteration.run,
}
