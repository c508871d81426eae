"""What `make mutants` takes away is there to be taken away."""

from __future__ import annotations

import pytest

from tests.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_changes_what_it_is_about(mutant: Mutant) -> None:
    text = mutant.text(ROOT)
    assert text != (ROOT / mutant.file).read_text()
    compile(text, mutant.file, "exec")
