"""Images that do not fit into memory."""

import numpy as np
import pytest
import torch

from search.engine import launch
from search.engine.memory import enough_memory
from search.errors import UserError
from search.settings import Settings

ON_CPU = "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
REMEDY = "; use fewer images, with --train-size and --val-size, or smaller ones, with --image-size"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), "MemoryError"),
        (MemoryError("Unable to allocate 9 TiB\nfor an array"), "Unable to allocate 9 TiB"),
        (RuntimeError(f"{ON_CPU} 15728640000 bytes."), f"{ON_CPU} 15728640000 bytes"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), "DefaultCPUAllocator: not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), "CUDA out of memory"),
    ],
)
def test_too_little_memory_is_one_line(error, cause):
    with pytest.raises(UserError) as told, enough_memory("the images"):
        raise error
    assert str(told.value) == f"too little memory for the images ({cause}){REMEDY}"


@pytest.mark.parametrize("error", [RuntimeError("shapes do not fit"), ValueError("memory"), UserError("no images")])
def test_any_other_error_stays_as_it_is(error):
    with pytest.raises(type(error)) as told, enough_memory("the images"):
        raise error
    assert told.value is error


@pytest.mark.parametrize(("step", "named"), [("prepare", "the images"), ("fit_baseline", "the linear baseline")])
def test_a_search_tells_so_where_images_are_prepared_and_the_baseline_is_fitted(tmp_path, monkeypatch, step, named):
    def fail(*_arguments, **_options):
        np.empty(2**60, dtype=np.float32)

    monkeypatch.setattr(launch, step, fail)
    sizes = {"trials": 1, "train_size": 50, "val_size": 20, "workers": 1}
    settings = Settings(name="digits", dataset="digits", space="spaces.mlp", out=tmp_path, check=False, **sizes)
    with pytest.raises(UserError, match=rf"^too little memory for {named} \(.*--train-size"):
        launch.run_search(settings)
