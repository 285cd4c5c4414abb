"""Composition: from overrides without choices to a typed config.

Hydra merges the groups of conf/ and the overrides into the fields of `Run`. Its errors, which take several lines, come
out as a ConfigError of one.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from traceback import walk_tb
from typing import Any

import hydra
from hydra import initialize_config_dir
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from vgexp.config import FIELDS, ConfigError, Run, first_line
from vgexp.experiments.config_files import FIELDS_OF_CONFIG, ConfigFiles, fields_in
from vgexp.experiments.launchers import at_once, check_launcher, offer_ray
from vgexp.experiments.overrides import choices, parse
from vgexp.experiments.slurm import where_from

Compose = Callable[[Sequence[str]], DictConfig]
"""Overrides without choices -> a composed config."""

ConfigStore.instance().store(name="run", node=Run)


def conf_dir() -> Path:
    """`conf/` in the installed package, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def groups() -> list[str]:
    """The config groups that bundle fields: data, model, ..."""
    return sorted(folder.name for folder in conf_dir().iterdir() if folder.is_dir() and folder.name != "hydra")


def bundled(overrides: Sequence[str], config_dir: Path | None = None) -> list[str]:
    """The fields that typed choices of config groups set, but for the experiment's: `data=mnist` sets data.name."""
    bundles = [group for group in groups() if group != "experiment"]
    places = [conf_dir(), *([] if config_dir is None else [config_dir])]
    found = []
    for override in parse(overrides):
        key = override.get_key_element()
        for choice in choices(override) if key in bundles else ():
            files = [place / key / f"{choice.partition('=')[2]}.yaml" for place in places]
            found += next((fields_in(path) for path in files if path.is_file()), [])
    return found


@contextmanager
def composer(config_dir: Path | None = None, launched: bool = False) -> Iterator[Compose]:
    """Composes configs, also within a Hydra app of the caller's, which finds its own Hydra as it left it.

    Config files are looked for in `config_dir` too. A launcher that will run the jobs says how many at once. What is
    asked for twice in a row is composed once.
    Raises ConfigError where Hydra raises its own errors, and where this computer cannot launch so.
    """

    SourcesRegistry.instance().register(ConfigFiles)
    place = "" if config_dir is None else str(config_dir.absolute()).replace("'", r"\'")
    searched = [f"hydra.searchpath=['{ConfigFiles.scheme()}://{place}']"] if place else []

    @lru_cache(maxsize=1)
    def composed(*overrides: str) -> DictConfig:
        with speaking(overrides), understood(overrides):
            config = hydra.compose("config", overrides=[*searched, *overrides], return_hydra_config=True)
        with open_dict(config):
            launcher = config.pop("hydra").launcher
        if launched:
            check_launcher(launcher)
            if config.jobs is None:
                config.jobs = at_once(launcher)
        return config

    callers, version = GlobalHydra.instance().hydra, VersionBase.instance().version_base
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            offer_ray()
            yield lambda overrides: composed(*overrides)
    finally:
        GlobalHydra.instance().hydra = callers
        VersionBase.instance().version_base = version


def typed(config: DictConfig, overrides: Sequence[str] = ()) -> Run:
    """A composed config with further overrides applied, as a Run. Raises ConfigError for a wrong key or type."""
    config = config.copy()
    for override in parse(overrides):
        with speaking(overrides):
            OmegaConf.update(config, override.get_key_element(), override.value())
    run: Any = OmegaConf.to_object(config)
    return run


@contextmanager
def speaking(overrides: Sequence[str]) -> Iterator[None]:
    """Turns the errors of Hydra and OmegaConf into a ConfigError: the field, what it got and what it accepts."""
    try:
        yield
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.name}, line {mark.line + 1}" if mark else "config file"
        raise ConfigError(place, error.problem, "YAML") from None
    except (HydraException, OmegaConfBaseException, OverflowError) as error:  # the last of integers beyond all floats
        raise _config_error(error, overrides) from None


@contextmanager
def understood(overrides: Sequence[str]) -> Iterator[None]:
    """Turns what Hydra raises where it takes a value for granted into a ConfigError: a number as the name of a file.

    What code of ours raises stays what it is, also where Hydra calls it.
    """
    try:
        yield
    except (AssertionError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        *_, (innermost, _) = walk_tb(error.__traceback__)
        ours = innermost.f_globals.get("__name__", "").startswith("vgexp.")
        if ours or isinstance(error, OmegaConfBaseException):
            raise
        raise ConfigError("override", " ".join(overrides), f"what can be composed ({first_line(error)})") from None


def _config_error(error: Exception, overrides: Sequence[str]) -> ConfigError:
    cause: BaseException = error
    kinds = OmegaConfBaseException | OverflowError
    while not isinstance(cause, kinds) and (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
    if isinstance(error, MissingConfigException):
        key, _, name = (error.missing_cfg_file or "config").rpartition("/")
        accepts = ", ".join(error.options or ()) or f"one of the groups {', '.join(groups())}"
        return ConfigError(key, name, accepts + where_from(name))
    said = re.search(r"full_key: (\S+)", str(cause))  # where OmegaConf passes on another's error
    key = str(getattr(cause, "full_key", None) or (said[1] if said else ""))
    if in_file := re.match("In '(.+?)': ", str(error)):
        return ConfigError(f"{in_file[1]}.yaml", key or "something else", FIELDS_OF_CONFIG)
    got = next((text.partition("=")[2] for text in reversed(overrides) if text.split("=")[0] == key), None)
    field = FIELDS.get(key.split("[")[0])
    if field is not None:
        accepts = field.rule.words
    else:
        accepts = f"only fields of the {'launcher' if key.startswith('hydra.launcher.') else 'config'}"
    return ConfigError(key or "override", got if got is not None else first_line(cause), accepts)
