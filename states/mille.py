"""mille: what is not converted yet, and a last look at every input of pede."""

from __future__ import annotations

from auto_iter.snapshot import Snapshot
from states.first_look import first_look
from states.outputs import convert
from states.step import Fire, Note, Outcome, Ports, Stay
from states.submit_reco import outstanding_files
from states.whole_constants import in_use


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
