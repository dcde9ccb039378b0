"""Options and labels are matched by what they say: in any order the same, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.curate.option_texts import match_texts

PAIRS = [
    [("Better", "Got better"), ("Same", "Stayed about the same"), ("Worse", "Got worse")],
    [
        ("Spending too much", "Too much"),
        ("About right", "about right"),
        ("Too little", "Too little"),
    ],
    [("1 - rich", "rich"), ("2", "2"), ("3", "3"), ("4 - poor", "poor")],
    [("None", "None"), ("1", "1"), ("2 to 3", "2-3"), ("4+", "4 or more")],
    [("Cannot choose", "Can't choose"), ("Yes", "Yes, it is"), ("No", "No")],
    [("Agree strongly", "Strongly agree"), ("Agree", "Agree"), ("Don't agree", "Do not agree")],
    [
        ("More good than harm", "More good than harm."),
        ("More harm than good", "more harm than good"),
    ],
    [("Men", "Men"), ("Women", "Women"), ("Both", "Both equally")],
    [("For", "For"), ("Against", "Against it")],
]
DOUBTFUL = [
    (["Agree", "Disagree"], ["Strongly disagree", "Strongly agree"]),
    (["Better", "Same", "Depends"], ["Got better", "Same", "Got worse"]),
    (["Agree", "Disagree"], ["Do not agree", "Agree"]),
    (["Likely", "Unlikely"], ["Not likely", "Likely"]),
    (["Good", "Bad"], ["Not good", "Not bad"]),
    (["More good than harm", "Neither"], ["More harm than good", "Neither"]),
    (["Exciting", "Humdrum", "Dull"], ["Exciting", "Routine", "Dull"]),
    (["High", "Middle", "Low"], ["1st", "2nd", "3rd"]),
    (["Increase", "Same", "Decrease"], ["Increase a lot", "Same", "Decrease a lot"]),
    (["Satisfied", "Dissatisfied"], ["Dissatisfied a little", "Satisfied a little"]),
]


@settings(max_examples=200)
@given(st.sampled_from(PAIRS), st.randoms(use_true_random=False))
def test_any_order_of_options_and_labels_gives_the_same_pairs(pairs, random) -> None:  # type: ignore[no-untyped-def]
    codes = {label: float(i) for i, (_, label) in enumerate(pairs, start=1)}
    options, labels = [o for o, _ in pairs], [label for _, label in pairs]
    random.shuffle(options)
    random.shuffle(labels)
    places, doubtful = match_texts(options, labels, [codes[label] for label in labels])
    assert not doubtful
    assert places is not None
    assert {(o, labels[at]) for o, at in zip(options, places, strict=True)} == set(pairs)


@pytest.mark.slow
@settings(max_examples=200)
@given(st.sampled_from(DOUBTFUL), st.randoms(use_true_random=False))
def test_what_the_words_do_not_tell_is_refused_in_any_order(case, random) -> None:  # type: ignore[no-untyped-def]
    options, labels = list(case[0]), list(case[1])
    random.shuffle(options)
    random.shuffle(labels)
    places, doubtful = match_texts(options, labels, [float(i) for i in range(1, len(labels) + 1)])
    assert places is None
    assert set(doubtful) <= set(options)
    assert doubtful


WORDS = [
    "good",
    "bad",
    "better",
    "worse",
    "not",
    "very",
    "same",
    "no",
    "yes",
    "taxes",
    "too",
    "much",
]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)


@pytest.mark.slow
@settings(max_examples=200)
@given(
    st.integers(2, 4).flatmap(
        lambda k: st.tuples(*[st.lists(TEXTS, min_size=k, max_size=k, unique=True)] * 2)
    ),
    st.randoms(use_true_random=False),
)
def test_shuffling_either_list_never_changes_a_pair(lists, random) -> None:  # type: ignore[no-untyped-def]
    options, labels = lists
    codes = {label: 100.0 + i for i, label in enumerate(labels)}

    def pairs(mine: list[str], theirs: list[str]) -> object:
        places, doubtful = match_texts(mine, theirs, [codes[t] for t in theirs])
        if places is None:
            return frozenset(doubtful)
        return {(o, theirs[at]) for o, at in zip(mine, places, strict=True)}

    before = pairs(options, labels)
    shuffled = [random.sample(texts, len(texts)) for texts in (options, labels)]
    assert pairs(*shuffled) == before


@pytest.mark.parametrize("option", ["Not too much", "Too much"])
def test_negation_is_never_overlooked(option: str) -> None:
    assert match_texts([option, "Other"], ["Too much", "Other"], [1.0, 2.0])[0] == (
        (0, 1) if option == "Too much" else None
    )
