import pytest
import yaml

from vgexp.config import ConfigError
from vgexp.experiments.compose import conf_dir
from vgexp.experiments.scales import scales


def test_scales_are_the_keys_of_the_files():
    for path in (conf_dir() / "experiment").glob("*.yaml"):
        assert scales()[path.stem] == list(yaml.safe_load(path.read_text())["scales"])


def test_files_of_ones_own_stand_beside_them(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine.yaml").write_text("# @package _global_\nscales: {tiny: {}, 2: {}}")
    (tmp_path / "experiment/plain.yaml").write_text("seed: 1")
    (tmp_path / "experiment/empty.yaml").write_text("")
    found = scales(tmp_path)
    assert found.items() >= scales().items()
    assert (found["mine"], found["plain"], found["empty"]) == (["tiny", "2"], [], [])


def test_what_is_no_yaml_is_named(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/broken.yaml").write_text("scales: [")
    with pytest.raises(ConfigError, match=r"broken\.yaml.*accepts YAML"):
        scales(tmp_path)
