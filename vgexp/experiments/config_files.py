"""Config files of somebody's: what is accepted of their YAML before Hydra reads it.

Nothing of them is carried out: neither a `_target_`, which Hydra would call, nor what would change Hydra itself.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.plugins.config_source import ConfigResult

from vgexp.config import ConfigError, first_line
from vgexp.results.files import require_file

MOST_BYTES = 1_000_000
MOST_NODES = 100_000
"""Keys, values and lists of a file, with those that anchors repeat: a few lines of them may stand for billions."""
GLOBAL = "@package _global_"
FIELDS_OF_CONFIG = f"fields of the config, below a first line `# {GLOBAL}`"


class ConfigFiles(FileConfigSource):
    """A folder of config files, each of them checked before Hydra has it."""

    @staticmethod
    def scheme() -> str:
        """How Hydra's search path says that a folder is one of these: `checked:///the/folder`."""
        return "checked"

    def load_config(self, config_path: str) -> ConfigResult:
        """A config for Hydra. Raises ConfigError, which names the file."""
        path = Path(self.path, self._normalize_file_name(config_path))
        tree = _tree(path)
        with _read_from(path):
            found = super().load_config(config_path)
        package = found.header["package"] or config_path.rpartition("/")[0].replace("/", ".")
        for key in [package] if package != "_global_" else _keys(tree):
            if key.split(".")[0] == "hydra" and key.split(".")[:2] != ["hydra", "launcher"]:
                raise ConfigError(str(path), key, "of Hydra's settings hydra.launcher only")
        return found


def content(path: Path) -> dict[Any, Any]:
    """The fields of a config file. Raises ConfigError, which names the file, where there are none to be read."""
    tree = _tree(path)
    if tree is None:
        return {}
    with _read_from(path):
        return yaml.SafeLoader("").construct_document(tree)


def fields_in(path: Path) -> list[str]:
    """The fields, by dotted key, that a file of a config group sets. Raises as `content` does."""
    package = "" if GLOBAL in path.read_text(encoding="utf-8-sig").partition("\n")[0] else f"{path.parent.name}."
    return [package + key for key in _leaves(content(path))]


def _leaves(tree: dict[Any, Any]) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from (f"{key}.{below}" for below in _leaves(value))
        else:
            yield str(key)


@contextmanager
def named_where_at_fault(config_dir: Path | None, overrides: Sequence[str]) -> Iterator[None]:
    """Names the config files of `config_dir` that were asked for in a ConfigError about what nobody typed."""
    try:
        yield
    except ConfigError as error:
        field, got, accepts = error.args
        typed = {key: value for key, _, value in (override.partition("=") for override in overrides)}
        places = {key: Path(config_dir or "", key, f"{value}.yaml") for key, value in typed.items() if config_dir}
        files = {key: str(path) for key, path in places.items() if path.is_file()}
        said = any(Path(file).name in field for file in files.values())
        if not files or said or (field in typed and (field not in files or typed[field] == got)):
            raise
        raise ConfigError(f"{' or '.join(files.values())}: {field}", got, accepts) from error


def _tree(path: Path) -> yaml.MappingNode | None:
    """The fields of a file as YAML has them; None where it is empty."""
    with _read_from(path), require_file(path).open(encoding="utf-8-sig") as stream:
        text = stream.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise ConfigError(str(path), "more", f"a file of at most {MOST_BYTES:,} characters")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        if tree is not None and tree.tag == "tag:yaml.org,2002:null":
            return None
        if not isinstance(tree, yaml.MappingNode | None):
            raise ConfigError(str(path), text[:20], FIELDS_OF_CONFIG)
        if tree is not None and _size(tree, {}) > MOST_NODES:
            raise ConfigError(str(path), "more", f"at most {MOST_NODES:,} values, with those that anchors repeat")
        return tree


def _size(node: yaml.Node, seen: dict[int, int]) -> int:
    """Nodes in a tree, repeated ones each time. Raises ValueError for what is no tree, or would be called."""
    if id(node) not in seen:
        seen[id(node)] = 0
        below = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else []
        if any(key.value == "_target_" for key in below[::2]):
            raise ValueError("a _target_, which nothing calls")
        below += node.value if isinstance(node, yaml.SequenceNode) else []
        seen[id(node)] = 1 + sum(_size(part, seen) for part in below)
    if not seen[id(node)]:
        raise ValueError("an anchor within what it stands for")
    return seen[id(node)]


def _keys(tree: yaml.MappingNode | None) -> Iterator[str]:
    """The keys of a file, of `hydra` those below it."""
    for key, value in tree.value if tree is not None else []:
        below = value.value if key.value == "hydra" and isinstance(value, yaml.MappingNode) else []
        yield from (f"{key.value}.{inner.value}" for inner, _ in below)
        if not below:
            yield str(key.value)


@contextmanager
def _read_from(path: Path) -> Iterator[None]:
    """Turns what a file of any content makes YAML raise into a ConfigError that names it."""
    try:
        yield
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise ConfigError(place, error.problem, "YAML") from None
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error), "a file of YAML") from None
    except RecursionError:
        raise ConfigError(str(path), "lists or fields in each other", "some levels of them") from None
    except (yaml.YAMLError, TypeError, ValueError, AttributeError) as error:  # of values that are none of their tag's
        raise ConfigError(str(path), first_line(error), "YAML") from None
