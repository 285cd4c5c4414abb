import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgexp.config.wording import counted, shortened


@pytest.mark.parametrize(("number", "said"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (21, "21 runs")])
def test_one_is_no_plural(number, said):
    assert counted(number, "run") == said


@given(st.text(max_size=50), st.integers(2, 20).map(lambda half: 2 * half))
def test_a_long_text_keeps_its_ends(text, shown):
    found = shortened(text, shown)
    assert len(found) <= shown + len("...")
    assert found == text if len(text) <= shown else found == text[: shown // 2] + "..." + text[-(shown // 2) :]
