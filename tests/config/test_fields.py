from omegaconf import DictConfig, OmegaConf

from vgexp.config.fields import FIELDS, Run
from vgexp.config.rows import leaves


def keys(config, prefix=""):
    """As Hydra knows them; `scales` is one field."""
    for key, value in config.items():
        if isinstance(value, DictConfig) and key != "scales":
            yield from keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def test_everything_is_known_of_every_field():
    assert list(FIELDS) == list(keys(OmegaConf.structured(Run)))
    for key, known in FIELDS.items():
        assert known.meaning.endswith("."), key
        assert known.type is not None, key
        assert set(known.read_by) <= set(FIELDS), key
        assert not (known.of_sweep and known.in_identity), key


def test_defaults_follow_their_own_rules():
    for key, value in leaves(Run()).items():
        assert FIELDS[key].rule.holds(value), key


def test_members_may_differ_in_their_numbers_and_their_law():
    members = {key for key, known in FIELDS.items() if known.member}
    init = {f"init.{name}" for name in ("name", "sigma_w", "sigma_b", "distribution", "scope", "base_width")}
    assert members == {
        "seed",
        "data.seed",
        *init,
        *(f"optim.{name}" for name in ("lr", "momentum", "beta1", "beta2", "eps")),
        *(f"optim.{name}" for name in ("weight_decay", "clip", "warmup")),
    }
