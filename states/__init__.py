"""The finite-state machine: `table` has the arrows, one file a state says what is done there."""

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
