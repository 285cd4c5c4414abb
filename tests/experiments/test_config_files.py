import pytest

from vgexp.config import ConfigError
from vgexp.experiments.config_files import MOST_NODES, content, named_where_at_fault


def test_the_fields_of_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    for text, fields in (("", {}), ("# nothing", {}), ("a: &x [1]\nb: [*x, *x]", {"a": [1], "b": [[1], [1]]})):
        path.write_text(text)
        assert content(path) == fields


def test_what_anchors_repeat_counts_each_time(tmp_path):
    path = tmp_path / "mine.yaml"
    few = MOST_NODES // 200 - 10
    text = f"a: &x [{', '.join('1' * few)}]\nb: ["
    path.write_text(text + ", ".join(["*x"] * 199) + "]")
    assert len(content(path)["b"]) == 199
    path.write_text(text + ", ".join(["*x"] * 210) + "]")
    with pytest.raises(ConfigError, match=r"mine\.yaml: got 'more', accepts at most 100,000 values"):
        content(path)


@pytest.mark.parametrize(
    ("typed", "error", "named"),
    [
        (["experiment=mine"], ("steps", -1, "x"), True),
        (["experiment=mine", "steps=-1"], ("steps", -1, "x"), False),
        (["experiment=mine"], ("experiment", "nowhere", "x"), True),
        (["experiment=other"], ("experiment", "other", "x"), False),
    ],
)
def test_a_file_is_named_for_what_nobody_typed(typed, error, named, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine.yaml").touch()
    with pytest.raises(ConfigError) as raised, named_where_at_fault(tmp_path, typed):
        raise ConfigError(*error)
    assert ("mine.yaml" in str(raised.value)) == named
