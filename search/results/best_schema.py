"""What a best.yaml must hold, field by field, and what is wrong with one that does not."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

LONGEST = 40  # signs of a value that are shown

Finite = Annotated[float, Field(allow_inf_nan=False)]
Error = Annotated[float, Field(ge=0, allow_inf_nan=False)]  # standard error
Share = Annotated[float, Field(ge=0, le=1 + 1e-9)]  # in the files of an older release rounded up beyond 1
Above = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Side = Annotated[int, Field(ge=1, le=65_535)]  # pixels
Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    """Values have the type that is asked for; others beside them are let be."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Metrics(_Part):
    val_loss: Error
    val_loss_se: Error
    gap: Finite
    gap_se: Error
    train_loss: Error
    train_accuracy: Share
    val_accuracy: Share
    val_balanced_accuracy: Share | None = None  # where the classes are uneven
    accuracy_gap: Finite
    fit: Text
    parameters: Number


class _Expected(_Part):
    loss: Finite
    loss_interval: Annotated[list[Finite], Field(min_length=2, max_length=2)]  # 90%
    accuracy: Share
    gap: Finite
    seeds: Number  # unseen ones that were measured
    balanced_accuracy: Share | None = None  # where the classes are uneven


class _Calibration(_Part):
    """Of the probabilities on the validation split: as they are, and after the temperature."""

    temperature: Above
    val_loss: Error
    val_loss_calibrated: Error  # cross-fitted: the temperature of one half of the images measured on the other
    calibration_error: Share  # expected calibration error
    calibration_error_calibrated: Share


class _Ensemble(_Part):
    networks: Annotated[int, Field(ge=2)]
    val_loss: Error
    mean_val_loss: Error  # of its networks
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # of ensemble.pt


class _Choice(_Part):
    because: str
    over: list[Number]
    stopped: str
    baseline_loss: Finite
    baseline_accuracy: Share | None = None  # on the validation split, like all of these; None in an older release's
    baseline_balanced_accuracy: Share | None = None  # where the classes are uneven
    largest_class: Share | None = None  # accuracy of naming it each time
    unrecognized: list[str] = []  # classes of recall 0
    max_gap: Finite | None


class _Data(_Part):
    name: Text
    fingerprint: Text
    classes: Annotated[list[str], Field(min_length=2)]
    image_size: Annotated[list[Side], Field(min_length=2, max_length=2)]  # height, width
    channels: Annotated[int, Field(ge=1, le=64)]
    mean: list[Finite]
    std: list[Above]
    train_size: Count
    val_size: Count
    seed: Number
    flip: bool
    balance: bool = False  # whether the classes weigh alike in all losses; an older release has no such thing
    root: Text | None = None  # where the images lay, as seen from the run folder; None for those of a package

    @model_validator(mode="after")
    def _one_for_each_channel(self) -> "_Data":
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError("mean and std must have one value for each of the channels")
        return self


class _Environment(_Part):
    bf16: bool
    channels_last: bool
    device: Literal["cpu", "cuda", "mps"]
    hardware: str
    threads: Annotated[int, Field(ge=1, le=1024)]
    torch: str


class _Confirmation(_Part):
    test_loss: Finite
    test_accuracy: Share
    optimism: Finite


class _Fresh(_Part):
    """Of trainings with fresh seeds; an error is None where there was one seed."""

    train_loss: Finite
    train_loss_se: Error | None
    val_loss: Finite
    val_loss_se: Error | None
    test_loss: Finite
    test_loss_se: Error | None
    val_accuracy: Share
    val_accuracy_se: Error | None
    test_accuracy: Share
    test_accuracy_se: Error | None
    val_balanced_accuracy: Share | None = None  # where the classes are uneven
    val_balanced_accuracy_se: Error | None = None
    test_balanced_accuracy: Share | None = None
    test_balanced_accuracy_se: Error | None = None
    val_gap: Finite
    val_gap_se: Error | None
    test_gap: Finite
    test_gap_se: Error | None
    split_offset: Finite
    split_offset_se: Error | None
    split_offset_seed_se: Error | None = None  # the seeds' part of it; None in an older release's


class _Beside(_Fresh):
    trial: Number
    role: Text
    test_loss_difference: Finite
    test_loss_difference_se: Error | None
    test_loss_difference_seed_se: Error | None = None  # likewise
    test_gap_difference: Finite
    test_gap_difference_se: Error | None


class _Class(_Part):
    name: str
    support: Count
    recall: Share
    recall_se: Error
    precision: Share | None
    precision_se: Error | None


class _WholeConfirmation(_Fresh):
    """One that counts how often the test split was opened; those of older releases have other figures."""

    seeds: Annotated[list[Seed], Field(min_length=1)]
    diverged: list[Seed] = []  # with which the training did, left out of the figures
    openings: Count
    test_images: Count
    optimism: Finite
    optimism_se: Error | None
    exported_test_loss: Finite
    exported_test_loss_se: Error
    exported_test_accuracy: Share
    exported_test_accuracy_se: Error
    exported_test_balanced_accuracy: Share | None = None
    exported_test_balanced_accuracy_se: Error | None = None
    ensemble_test_loss: Finite | None = None
    ensemble_test_loss_se: Error | None = None
    ensemble_test_accuracy: Share | None = None
    ensemble_test_accuracy_se: Error | None = None
    ensemble_test_balanced_accuracy: Share | None = None
    ensemble_test_balanced_accuracy_se: Error | None = None
    others: list[_Beside]
    classes: list[_Class]


class _Refit(_Part):
    """Of a final.yaml: the weights in final.pt, on the test split."""

    images: Count
    epochs: Count
    annealed: bool
    seeds: Annotated[list[Seed], Field(min_length=1)]
    failed: list[Seed] = []  # whose training did, left out of the means
    openings: Count
    train_loss: Finite
    test_loss: Finite
    test_loss_se: Error
    test_accuracy: Share
    test_accuracy_se: Error
    test_balanced_accuracy: Share | None = None  # where the classes are uneven
    test_gap: Finite


class _Best(BaseModel):
    """The fields of `search.results.best_yaml.Best` that a file holds."""

    model_config = ConfigDict(strict=True, extra="forbid")

    study: str
    trial: Number
    space: Text
    config: dict[str, JsonValue]
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    seed: Seed
    expected: _Expected | None = None
    calibration: _Calibration | None = None
    ensemble: _Ensemble | None = None
    metrics: _Metrics
    choice: _Choice
    data: _Data
    environment: _Environment
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    confirmation: _Confirmation | None = None
    refit: _Refit | None = None


def problem(content: Mapping[str, Any]) -> str | None:
    """What is wrong with the content of a best.yaml, its version left out, in a few words; None if nothing."""
    wrong, confirmation = _problem(_Best, content), content.get("confirmation")
    if wrong is None and confirmation is not None and "openings" in confirmation:
        return _problem(_WholeConfirmation, confirmation, "confirmation")
    return wrong


def _problem(model: type[BaseModel], content: Mapping[str, Any], *within: str) -> str | None:
    """within: the fields that lead to `content`."""
    try:
        model.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        lacking = [_place((*within, *one["loc"])) for one in found if one["type"] == "missing"]
        if lacking:
            return f"it lacks {', '.join(lacking)}"
        return f"{_place((*within, *found[0]['loc']))} is {_short(found[0]['input'])}: {found[0]['msg']}"
    return None


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
