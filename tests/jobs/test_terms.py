"""The terms beside files that may be handed on, or may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from opinioncast.jobs.terms import NAME, write_terms


@pytest.mark.parametrize(
    ("redistribution", "said"),
    [("group-level", "may be passed on, with the citation"), ("none", "Nothing in this folder")],
)
def test_the_terms_say_who_made_it_and_what_is_allowed(
    tmp_path: Path, redistribution: str, said: str
) -> None:
    meta = {"citation": "A survey (2020).", "terms": "Free.", "redistribution": redistribution}
    path = write_terms(tmp_path, meta)
    assert path == tmp_path / NAME
    citation, terms, meaning = path.read_text("utf-8").strip().split("\n\n")
    assert (citation, terms) == ("A survey (2020).", "Free.")
    assert said in meaning


def test_terms_that_nobody_stated_are_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="redistribution"):
        write_terms(tmp_path, {"citation": "A survey.", "terms": "Free."})
    assert not list(tmp_path.iterdir())
