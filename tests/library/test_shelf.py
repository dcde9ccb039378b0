"""Questions found by wording and meaning; rows read when asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.library.made import EVERYONE, pistols, question, table
from tests.methods.fake_encoder import FakeEncoder

from opinioncast.errors import DataError, InputError
from opinioncast.library.shelf import Library, Shelf, index_of, write_shelf, year_of


@pytest.fixture
def library(tmp_path: Path) -> Library:
    encoder = FakeEncoder()
    write_shelf(pistols(), tmp_path, encoder.encode, encoder.fingerprint)
    return Library((Shelf("mine", tmp_path),))


def test_one_entry_per_question_with_its_waves(library: Library) -> None:
    guns, whales = library.questions
    assert (guns.name, guns.waves, guns.groups) == ("GSS/guns", ("1998", "2008", "2018"), 3)
    assert guns.asked == "asked by GSS in 1998 to 2018 (3 times)"
    assert whales.asked == "asked by GSS in 2018"
    assert guns.question.wave == "2018"


def test_rows_of_some_waves(library: Library) -> None:
    guns = library.find("guns")
    rows = library.shelf(guns).rows(guns, ["2008"])
    shares = np.array(rows["distribution"].to_list())
    assert shares == pytest.approx(np.array([[0.75, 0.25], [0.85, 0.15], [0.65, 0.35]]))
    assert library.shelf(guns).rows(guns).height == 9


def test_by_wording_whatever_the_case_and_signs(library: Library) -> None:
    (near,) = library.by_wording("should WHALES be protected - by treaty ?!")
    assert (near.asked.name, near.cosine, near.very) == ("GSS/whales", 1.0, True)
    assert library.by_wording("Should whales be eaten?") == []


def test_nearest_puts_the_very_question_first(library: Library) -> None:
    encoder = FakeEncoder()
    text = "Should whales be protected by treaty?"
    (found,) = library.nearest([text], encoder.encode, encoder.fingerprint, 2)
    assert [n.asked.name for n in found] == ["GSS/whales", "GSS/guns"]
    expected = float(encoder.encode([text])[0] @ encoder.encode([found[1].asked.question.text])[0])
    assert found[1].cosine == pytest.approx(expected, abs=1e-3)  # kept in half precision


def test_embeddings_of_another_sentence_model_are_not_used(library: Library) -> None:
    asked = []

    def encode(texts):
        asked.extend(texts)
        return np.eye(len(texts), 3, dtype=np.float32)

    library.nearest(["x"], encode, "another fingerprint")
    assert "Should whales be protected by treaty?" in asked


def test_a_name_that_is_none_or_several(library: Library, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No question of the library"):
        library.find("GSS/marmots")
    other = tmp_path / "other"
    other.mkdir()
    write_shelf(table((question("guns", "2020", family="ANES"), EVERYONE, [0.5, 0.5], 9)), other)
    both = Library((*library.shelves, Shelf("other", other)))
    with pytest.raises(InputError, match=r"(?s)Several questions.*GSS/guns, ANES/guns"):
        both.find("guns")
    assert both.find("ANES/guns").source == "other"


def test_a_question_with_other_options_in_another_wave_is_refused() -> None:
    given = table(
        (question("a", "1998", "A?", ("Yes", "No")), EVERYONE, [0.5, 0.5], 9),
        (question("a", "2018", "A?", ("Yes", "Maybe", "No")), EVERYONE, [0.5, 0.2, 0.3], 9),
    )
    with pytest.raises(DataError, match="other options in another wave"):
        index_of(given)


def test_a_lost_list_of_questions_is_named(tmp_path: Path) -> None:
    write_shelf(pistols(), tmp_path)
    (tmp_path / "questions.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="lost its list of questions"):
        _ = Shelf("mine", tmp_path).questions


@pytest.mark.parametrize(
    ("wave", "year"), [("2018", 2018), ("pilot 2018", 2018), ("82", None), ("2016-2018", None)]
)
def test_year_of(wave: str, year: int | None) -> None:
    assert year_of(wave) == year
