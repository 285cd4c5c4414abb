"""The typed config of one training of one network: a Run.

Every key of the command line is a field here. What is known of a field is written here and nowhere else: its default,
and what `Field` has of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from vgexp.config import rules
from vgexp.config.rules import Rule
from vgexp.config.settings import Field, setting


@dataclass
class DataConfig:
    """Examples, and how they come in batches."""

    name: str = setting("shapeset", "The data set.", rules.NAME)
    batch_size: int = setting(10, "Examples in a batch.", rules.COUNT)
    range: list[float] = setting([0.0, 1.0], "The values of a black and of a white pixel.", rules.INTERVAL)
    seed: int | None = setting(
        None,
        "Seed of the batches; null: the run's.",
        rules.optional(rules.SEED, f"{rules.SEED.words}, or null"),
        member=True,
    )


@dataclass
class ModelConfig:
    """The network."""

    family: str = setting("plain", "The family of networks.", rules.NAME)
    depth: int = setting(5, "Number of hidden layers.", rules.COUNT)
    width: Any = setting(1000, "Units of a hidden layer: an integer, or a list with one a layer.", rules.WIDTH)
    activation: str = setting("tanh", "The function phi between the layers.", rules.NAME)
    negative_slope: float = setting(0.01, "Slope of leaky ReLU below 0.", rules.FINITE, read_by=("model.activation",))
    norm: str = setting("none", "The normalisation.", rules.NAME, read_by=("model.family",))
    norm_at: str = setting(
        "before",
        "Whether a plain network normalises before or after the activation.",
        rules.one_of("before", "after"),
        read_by=("model.family", "model.norm"),
    )
    placement: str = setting(
        "pre",
        "Whether a residual block normalises and activates what its matrices read, or what they make.",
        rules.one_of("pre", "post"),
        read_by=("model.family",),
    )
    branch: Any = setting(
        1.0,
        "What a branch is multiplied by before it is added: a number, 1/sqrt(L) for L blocks, or learned from 0.",
        rules.BRANCH,
        read_by=("model.family",),
    )
    branch_layers: int = setting(
        1, "Matrices in a branch.", Rule(lambda x: x in (1, 2), "1 or 2"), read_by=("model.family",)
    )
    gate_bias: float = setting(
        -2.0, "The first bias of the gates of a highway network.", rules.FINITE, read_by=("model.family",)
    )
    growth: int = setting(
        16, "Units that a layer adds to the state of a dense network.", rules.COUNT, read_by=("model.family",)
    )
    scalars: str = setting(
        "none",
        "Scalars beside the matrices of residual blocks; fixup: a factor a branch, biases before matrices and phi.",
        rules.one_of("none", "fixup"),
        read_by=("model.family",),
    )


@dataclass
class InitConfig:
    """The first weights and biases."""

    name: str = setting("glorot", "The law of the first weights.", rules.NAME, member=True)
    sigma_w: float | None = setting(
        None,
        "Scale of the weights; null is the law's own.",
        rules.optional(rules.POSITIVE, "a positive number, or null for the law's own"),
        member=True,
    )
    sigma_b: float = setting(0.0, "Standard deviation of the first biases.", rules.NOT_NEGATIVE, member=True)
    distribution: str | None = setting(
        None,
        "uniform or normal, where both exist; null is the law's own.",
        rules.optional(rules.NAME, "a name, or null for the law's own"),
        member=True,
    )
    scope: str = setting(
        "all",
        "The matrices that the law is for; hidden leaves the first and the last one standard.",
        rules.one_of("all", "hidden"),
        member=True,
    )
    base_width: int = setting(
        64,
        "The width at which the mup law has the learning rates that are given.",
        rules.capped(rules.integer(2), 10**10),
        member=True,
        read_by=("init.name",),
    )


@dataclass
class OptimConfig:
    """The optimiser and its numbers."""

    name: str = setting("sgd", "The optimiser.", rules.NAME)
    lr: float = setting(0.03, "Learning rate.", rules.NOT_NEGATIVE, member=True, read_by=("optim.name",))
    momentum: float = setting(
        0.9,
        "What the last update is multiplied by before the gradient is added.",
        rules.FRACTION,
        member=True,
        read_by=("optim.name",),
    )
    beta1: float = setting(0.9, "Decay of Adam's first moment.", rules.FRACTION, member=True, read_by=("optim.name",))
    beta2: float = setting(
        0.999, "Decay of Adam's second moment.", rules.FRACTION, member=True, read_by=("optim.name",)
    )
    eps: float = setting(
        1e-8, "Added to the denominator of Adam's step.", rules.POSITIVE, member=True, read_by=("optim.name",)
    )
    weight_decay: float = setting(
        0.0,
        "Share of the weights of matrices that is taken off at each step, times the learning rate.",
        rules.NOT_NEGATIVE,
        member=True,
    )
    clip: float | None = setting(
        None,
        "The largest norm that the gradient of all parts together may have; null for no limit.",
        rules.optional(rules.POSITIVE, f"{rules.POSITIVE.words}, or null for none"),
        member=True,
        none_apart=True,
    )
    warmup: int = setting(
        0, "Steps in which the learning rate rises, in equal parts, to its value.", rules.STEPS, member=True
    )
    schedule: str = setting(
        "constant",
        "The learning rate after its warm-up: constant, or falling as a cosine to 0 at the last step.",
        rules.one_of("constant", "cosine"),
        read_by=("steps", "optim.warmup"),
    )


@dataclass
class ProbeConfig:
    """What is recorded, and at which steps."""

    tier: str = setting("light", "Which quantities are recorded.", rules.one_of("light", "full", "cost"))
    every: Any = setting("log", "Schedule of recording.", rules.SCHEDULE)
    on: str = setting(
        "batch",
        "The examples whose z, h, dz and dx are recorded: the step's own, or the fixed monitoring examples.",
        rules.one_of("batch", "monitor"),
    )
    histograms: Any = setting("ends", "Schedule of histograms.", rules.SCHEDULE, read_by=("probe.tier",))
    spectra: Any = setting("ends", "Schedule of the Jacobians' spectra.", rules.SCHEDULE, read_by=("probe.tier",))


@dataclass
class CheckpointConfig:
    """What a backward pass that recomputes keeps."""

    every: Any = setting(
        "sqrt",
        "Layers a segment: an integer, or sqrt; or revolve(s) with s snapshots, the input among them.",
        rules.SEGMENT,
        read_by=("memory",),
    )


@dataclass
class EvalConfig:
    """When the errors on the validation and the test set are measured."""

    every: Any = setting("end", "Schedule of evaluation on the validation and the test set.", rules.SCHEDULE)


@dataclass
class Run:
    """One training of one network."""

    name: str | None = setting(
        None,
        "Results go to results/<name>/; null: a name made of what the sweep varies and of what its runs are.",
        rules.optional(rules.FOLDER, "a relative folder name, or null"),
        in_identity=False,
    )
    seed: int = setting(
        0, "Seed of the first weights and, without a data.seed, of the batches.", rules.SEED, member=True
    )
    steps: int = setting(1000, "Updates, T of them: they give T + 1 observations, 0..T.", rules.STEPS)
    loss: str = setting("cross_entropy", "The loss that is minimised.", rules.NAME)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    init: InitConfig = field(default_factory=InitConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    memory: str = setting(
        "store",
        "What the backward pass needs is stored, recomputed (checkpoint) or, if reversible, rebuilt (invert).",
        rules.one_of("store", "checkpoint", "invert"),
    )
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    device: str = setting(
        "auto", "auto takes a GPU where there is one.", rules.one_of("auto", "cpu", "cuda"), in_identity=False
    )
    dtype: str = setting("float32", "Type of weights, activations and gradients.", rules.one_of("float32", "float64"))
    threads: int | None = setting(
        None,
        "CPU threads of one job; null: what suits its layers and its share of the cores.",
        rules.optional(rules.THREADS, f"{rules.COUNT.words}, or null; at most {rules.MOST_THREADS}"),
        in_identity=False,
    )
    jobs: int | None = setting(
        None,
        "Jobs that share this computer at once; null: as many as the launcher says, else one.",
        rules.optional(rules.THREADS, f"{rules.COUNT.words}, or null; at most {rules.MOST_THREADS}"),
        in_identity=False,
        of_sweep=True,
    )
    max_members: Any = setting("auto", "The largest stack; auto: by memory.", rules.STACK_SIZE, in_identity=False)
    logger: str = setting(
        "none",
        "Where else the scalars go: a log of tensorboard a run, below the results; or a run of wandb a run.",
        rules.one_of("none", "tensorboard", "wandb"),
        in_identity=False,
        of_sweep=True,
    )
    rerun: bool = setting(
        False, "Computes runs again that are already done.", rules.BOOLEAN, in_identity=False, of_sweep=True
    )
    scale: str | None = setting(
        None,
        "The scale of an experiment that is swept, one of `scales`.",
        rules.optional(rules.NAME, "a name, or null"),
        in_identity=False,
    )
    scales: dict[str, Any] = setting(
        {}, "The grids of an experiment, by scale.", rules.GRIDS, in_identity=False, of_sweep=True
    )
    only: list[str] | None = setting(
        None,
        "The grids of that scale to run; null for all.",
        rules.optional(rules.NAMES, "a list of names, or null for all"),
        in_identity=False,
        of_sweep=True,
    )
    members: str | None = setting(
        None,
        "Set by the sweeper: the file with the members of a stack.",
        rules.optional(rules.NAME, "a file, or null"),
        in_identity=False,
        of_sweep=True,
    )

    @property
    def batch_seed(self) -> int:
        """The seed of the batches: `data.seed`, or the run's own."""
        return self.seed if self.data.seed is None else self.data.seed


def _known(config: type, prefix: str = "") -> Iterator[tuple[str, Field]]:
    for item in fields(config):
        if isinstance(item.type, type) and is_dataclass(item.type):
            yield from _known(item.type, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, replace(item.metadata["field"], type=item.type)


FIELDS: dict[str, Field] = dict(_known(Run))
"""Everything that is known, by dotted key, in the order of the config."""
