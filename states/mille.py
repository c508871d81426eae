"""mille: what is not converted yet, and a last look at every input of pede."""

from __future__ import annotations

from auto_iter.alignment.snapshot import Snapshot
from states.decisions.first_look import first_look
from states.decisions.outputs import convert
from states.decisions.whole_constants import in_use
from states.step import Fire, Note, Outcome, Ports, Stay
from states.submit_reco import outstanding_files


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Convert the fitted tracks; a bad output sends its raw file back to reconstruction."""
    whole, mended = in_use(snapshot, ports)
    checked, conversion, notes = convert(whole, ports)
    notes = (*mended, *notes)
    if conversion.bad or outstanding_files(checked, ports):
        # At once, whatever is still pending: only here is it known that something was lost.
        return Fire("reco_incomplete", checked, notes)
    if conversion.pending:
        return Stay(checked, notes=notes)
    looked, seen = first_look(checked, ports)
    note = Note("converted", {"files": len(conversion.converted)})
    return Fire("converted", looked, (*notes, *seen, note))
