"""Nonsense, other languages and groups of one's own rest on nothing and say so."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests.methods.fake_encoder import FakeEncoder

from opinioncast import Question, load_groups, predict
from opinioncast.methods.basis import (
    group_is_known,
    known_share,
    lacks_basis,
    measured,
    nearest_known,
    with_basis,
)
from opinioncast.methods.error_bars import interval
from opinioncast.methods.uniform import METHOD as UNIFORM
from opinioncast.methods.uniform import Uniform
from opinioncast.models import SHIPPED_TRAINING
from opinioncast.survey import Attribute, Cells, GroupScheme, Subpopulation
from opinioncast.survey.tables import MODEL, NO_BASIS, OpinionTable

NOTHING = {
    "no words": ["😀😀😀?", "12345?", "?????", "--- / ---", "3.14159 = ?"],
    "not in English": [
        "你支持还是反对死刑？",
        "政府应该增加教育支出吗？",
        "あなたは死刑に賛成ですか、反対ですか？",
        "사형 제도에 찬성하십니까?",
        "Вы за или против смертной казни?",
        "Чи підтримуєте ви смертну кару?",
        "Είστε υπέρ ή κατά της θανατικής ποινής;",
        "هل تؤيد عقوبة الإعدام؟",
        "האם אתה בעד עונש מוות?",
        "क्या आप मृत्युदंड के पक्ष में हैं?",
        "คุณเห็นด้วยกับโทษประหารชีวิตหรือไม่",
        "Դուք կո՞ղմ եք մահապատժին",
    ],
    "not in the words of English surveys": [
        "Sind Sie für oder gegen ein Tempolimit auf Autobahnen?",
        "Sollte die Regierung mehr Geld für Schulen ausgeben?",
        "Wie zufrieden sind Sie mit der Demokratie in Deutschland?",
        "Êtes-vous pour ou contre la peine de mort ?",
        "Faites-vous confiance au gouvernement pour gérer la crise ?",
        "¿Está usted a favor o en contra del aborto?",
        "¿Cree que el gobierno debería subir los impuestos?",
        "Lei è favorevole alla pena di morte?",
        "Pensa che le tasse siano troppo alte?",
        "Você é a favor ou contra a pena de morte?",
        "Bent u voor of tegen de doodstraf?",
        "Er du for eller imot dødsstraff?",
        "Är du för eller emot kärnkraft?",
        "Oletko kuolemanrangaistuksen puolesta vai vastaan?",
        "Czy popiera Pan karę śmierci?",
        "Souhlasíte s trestem smrti?",
        "Ön a halálbüntetés mellett vagy ellene van?",
        "Idam cezasını destekliyor musunuz?",
        "Bạn ủng hộ hay phản đối án tử hình?",
        "Apakah Anda mendukung hukuman mati?",
        "Je, unaunga mkono adhabu ya kifo?",
        "Sunteți pentru sau împotriva pedepsei cu moartea?",
        "Jste pro nebo proti jaderné energii?",
        "asdf qwer zxcv uiop?",
        "Blorf the snarglewump or quibble it?",
        "Lorem ipsum dolor sit amet consectetur?",
        "Wug blicket dax fep toma modi?",
        "xX_gh0st_Xx lmao kek yeet rizz skibidi?",
        "aaaa bbbb cccc dddd eeee ffff?",
        "Qwertyuiop asdfghjkl zxcvbnm?",
        "Twas brillig and slithy toves gyre gimble wabe?",
        "Frobnicate zarquon blivets via daemons?",
        "def foo lambda kwargs args yield?",
    ],
}
FIFTY = [(text, why) for why, texts in NOTHING.items() for text in texts]
OPTIONS = ("Yes", "No")


def test_there_are_fifty() -> None:
    assert len(FIFTY) == 50


@pytest.mark.parametrize(("text", "why"), FIFTY)
def test_nonsense_and_foreign_questions_have_no_basis(text: str, why: str) -> None:
    assert lacks_basis(Question("q", text, OPTIONS), None) == why


def test_they_say_so_and_their_interval_is_as_wide_as_that() -> None:
    asked = [Question(f"q{i}", text, OPTIONS) for i, (text, _) in enumerate(FIFTY)]
    made = predict(asked, "SEX=Female", method="uniform")
    assert UNIFORM.name == "uniform"
    frame = made.frame
    low, high = interval([0.5, 0.5], measured().width(2))
    told = frame.filter(pl.col("basis").str.contains(NO_BASIS))
    if frame["basis"][0] != MODEL and "never measured" in frame["basis"][0]:
        assert frame["low"].to_list() == [[0, 0]] * 50  # wider still
        return
    assert told.height == 50
    assert np.array(told["low"].to_list()).max() <= low[0] + 1e-12
    assert np.array(told["high"].to_list()).min() >= high[0] - 1e-12
    assert made.record["rows_without_basis"] == 50


def test_real_questions_have_one() -> None:
    """Of the training table's 747 questions, whose words are known, and of words of their kind."""
    asked = OpinionTable.read(SHIPPED_TRAINING).questions()
    assert not [q.text for q in asked if lacks_basis(q, 0.9)]
    for text in (
        "Do you favor or oppose legalizing marijuana?",
        "How worried are you about inflation?",
        "Should billionaires pay higher taxes?",
        "Would you get a self-driving car if it cost the same as yours?",
        "How often do you use an AI chatbot at work?",
        "Do you support or oppose Medicare for All?",
    ):
        assert not lacks_basis(Question("q", text, OPTIONS), None), text


def test_options_in_english_do_not_make_a_question_english() -> None:
    words = measured().words
    foreign = Question("q", "Haben Sie Angst vor Krieg?", ("Strongly agree", "Strongly disagree"))
    assert known_share(foreign, words) < measured().least_words


def test_far_from_every_known_question() -> None:
    question = Question("q", "Should the law be changed?", OPTIONS)
    assert lacks_basis(question, measured().least_cosine - 0.01) == "unlike any question known"
    assert lacks_basis(question, measured().least_cosine + 0.01) == ""


class _Knowing:
    """A method that learned from two questions."""

    name = "knowing"
    encoder = FakeEncoder()
    seen = ("sex: I am female.",)

    @property
    def known_questions(self):
        return self.encoder.encode(["Are rents too high?", "Is tea good?"])

    def predict(self, cells, *, progress=None):
        raise NotImplementedError


def test_how_near_the_nearest_known_question_is() -> None:
    questions = [Question("a", "is tea good", OPTIONS), Question("b", "Are cats good?", OPTIONS)]
    near = nearest_known(_Knowing(), questions)
    assert near[0] == pytest.approx(1)
    vectors = _Knowing.encoder.encode([questions[1].text, "Are rents too high?", "Is tea good?"])
    assert near[1] == pytest.approx(float(max(vectors[0] @ vectors[1], vectors[0] @ vectors[2])))
    blend = type("Mixed", (), {"parts": [(Uniform(), 0.2), (_Knowing(), 0.8)]})()
    assert nearest_known(blend, questions) == near  # of the part that knows
    assert nearest_known(Uniform(), questions) == [None, None]


def test_a_group_of_ones_own_has_no_basis_and_standard_ones_have() -> None:
    tenure = Attribute("TENURE", "tenure", "Own?", ("Own", "Rent"), "I {}.", "you {}", {})
    own = Subpopulation((("TENURE", "Own"),))
    female = Subpopulation((("SEX", "Female"),))
    both = Subpopulation((("SEX", "Female"), ("TENURE", "Own")))
    assert [group_is_known(g) for g in (own, female, both, Subpopulation())] == [
        *(False, True, False, True)
    ]
    standard = load_groups("SEX=Female")
    scheme = GroupScheme("mine", {**standard.attributes, "TENURE": tenure}, (own, female))
    asked = [Question("q", "Are rents too high?", OPTIONS)]
    cells = Cells.cross(asked, scheme)
    made = predict(cells, method="uniform")
    narrow = made.table.frame.with_columns(
        low=pl.lit([0.4, 0.4]), high=pl.lit([0.6, 0.6]), basis=pl.lit(MODEL)
    )
    table = type(made.table)(narrow, made.table.meta)
    found = with_basis(type(made)(table), cells, _Knowing())
    by = {r["group"]: r for r in found.frame.iter_rows(named=True)}
    assert by["Own"]["basis"] == f"{MODEL}, {NO_BASIS}: group not known"
    assert by["Own"]["low"][0] < 0.2
    assert by["Female"]["basis"] == MODEL
    assert by["Female"]["low"] == [0.4, 0.4]
    assert found.record["rows_without_basis"] == 1
    assert set(found.record["nearest_known_question"]) == {"q"}
    near = nearest_known(_Knowing(), asked)[0]
    assert [r["known_question"] for r in by.values()] == pytest.approx([near, near], abs=1e-4)
    assert by["Female"]["known_group"] == 1
    own_text, female_text = FakeEncoder().encode(["tenure: I own.", "sex: I am female."])
    assert by["Own"]["known_group"] == pytest.approx(float(own_text @ female_text), abs=1e-4)
    # who knows no groups says nothing of them
    plain = predict(cells, method="uniform").frame
    assert plain["known_group"].to_list() == plain["known_question"].to_list() == [None, None]
