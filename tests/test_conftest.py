"""Which files of tests are left out unread where slow tests are."""

from __future__ import annotations

import pytest

from .conftest import holds_slow_tests_alone

SLOW = "import pytest\n@pytest.mark.slow\ndef test_a():\n    pass\n"


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        (SLOW, True),
        (SLOW + "def test_b(shared_data, x):\n    pass\n", True),
        (SLOW + "def test_b():\n    pass  # mark.slow\n", False),
        (SLOW + "class TestB:\n    def test_b(self):\n        pass\n", False),
        ("pytestmark = [pytest.mark.slow]\ndef test_b():\n    pass\n", True),
        ("pytestmark = pytest.mark.avx2\ndef test_b():\n    pass\n", False),
        ("# pytestmark, mark.slow\nX = 1\n", False),
    ],
)
def test_a_file_of_slow_tests_alone(text: str, alone: bool) -> None:
    assert holds_slow_tests_alone(text) is alone
