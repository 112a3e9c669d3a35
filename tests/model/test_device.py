import contextlib
import os
import random
import re
import types

import numpy as np
import pytest
import torch

from sentiment_batch.errors import DeviceError, UsageError
from sentiment_batch.model import device
from sentiment_batch.model.device import (
    choose_batch_tokens,
    choose_device,
    choose_training_dtype,
    describe_hardware,
    find_cpu_make,
    has_bfloat16,
    make_repeatable,
    prefer_bfloat16,
)


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def cuda(monkeypatch):
    """Two CUDA devices as torch would show them: an A100 of 80 GB and an old card of 11 GB."""
    cards = [("A100", (8, 0), 80), ("GTX 1080 Ti", (6, 1), 11)]

    def number(name) -> int:
        return torch.device(name).index or 0 if isinstance(name, str) else name

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda which: cards[number(which)][0])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda which: cards[number(which)][1])
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda which: types.SimpleNamespace(total_memory=cards[number(which)][2] * 2**30),
    )


@pytest.mark.usefixtures("no_cuda")
@pytest.mark.parametrize(("version", "why"), [(None, "this build of torch has no CUDA"), ("13.0", "no CUDA device")])
def test_without_cuda_auto_takes_the_cpu_and_says_why(monkeypatch, version, why):
    monkeypatch.setattr(torch.version, "cuda", version)
    chosen = choose_device("auto")
    assert chosen.value == "cpu"
    assert why in chosen.reason
    assert re.search(rf"; {torch.get_num_threads()} threads?\)$", str(chosen))


@pytest.mark.usefixtures("cuda")
def test_with_cuda_auto_takes_the_first_device_and_names_it():
    assert str(choose_device("auto")) == "cuda:0 (A100)"


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize(
    ("name", "value"),
    [("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1"), ("cuda:01", "cuda:1")],
)
def test_a_device_that_is_there_is_taken_as_asked(name, value):
    assert choose_device(name).value == value
    assert "as asked" in choose_device(name).reason


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:-1", "mps", "", "CPU"])
def test_an_unknown_device_name_is_wrong_usage(name):
    with pytest.raises(UsageError, match="auto, cpu, cuda or cuda:N"):
        choose_device(name)


@pytest.mark.usefixtures("no_cuda")
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_cuda_that_is_not_there_is_refused_with_the_cure(name):
    with pytest.raises(DeviceError, match=r"no CUDA device.*`device` to auto or cpu"):
        choose_device(name)


@pytest.mark.usefixtures("cuda")
def test_a_device_beyond_the_last_is_refused_and_the_range_named():
    with pytest.raises(DeviceError, match="only cuda:0 to cuda:1"):
        choose_device("cuda:2")


@pytest.mark.usefixtures("cuda")
def test_bfloat16_on_cuda_goes_by_the_compute_capability():
    assert prefer_bfloat16("cuda:0") == (True, "compute capability 8.0")
    assert prefer_bfloat16("cuda:1") == (False, "compute capability 6.1")
    assert choose_training_dtype("auto", "cuda:0").value == "bfloat16"
    assert choose_training_dtype("auto", "cuda:1").value == "float32"


@pytest.fixture
def processor(monkeypatch):
    """Makes this machine's CPU one of another kind."""

    def pretend(make, *, avx512=False, amx=False, machine="x86_64"):
        monkeypatch.setattr(device.platform, "machine", lambda: machine)
        monkeypatch.setattr(device, "find_cpu_make", lambda: make)
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)

    return pretend


@pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
@pytest.mark.parametrize(
    ("make", "avx512", "amx", "dtype", "why"),
    [
        ("AMD", True, False, "bfloat16", "AMD with AVX-512 bfloat16"),
        ("AMD", False, False, "float32", "this CPU has no bfloat16"),
        ("Intel", True, True, "bfloat16", "Intel with AMX"),
        ("Intel", True, False, "float32", "Intel CPU without AMX"),
        ("Intel", False, False, "float32", "this CPU has no bfloat16"),
        ("", True, True, "float32", "an unknown CPU"),
    ],
)
def test_an_x86_cpu_takes_bfloat16_where_its_make_is_faster(processor, machine, make, avx512, amx, dtype, why):
    processor(make, avx512=avx512, amx=amx, machine=machine)
    assert str(choose_training_dtype("auto", "cpu")) == f"{dtype} ({why})"
    assert has_bfloat16("cpu") is (avx512 or amx)


def test_the_kind_of_a_cpu_is_its_make_and_its_instructions(processor, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    processor("AMD", avx512=True)
    assert describe_hardware("cpu") == "AMD CPU, AVX512, AVX-512 bfloat16"
    processor("Intel", avx512=True, amx=True)
    assert describe_hardware("cpu") == "Intel CPU, AVX512, AVX-512 bfloat16, AMX"
    processor("", machine="aarch64")
    assert describe_hardware("cpu") == "aarch64 CPU, AVX512"


@pytest.mark.usefixtures("cuda")
def test_the_kind_of_a_gpu_is_its_name():
    assert describe_hardware("cuda:1") == "GTX 1080 Ti"


@pytest.mark.parametrize(
    ("text", "make"),
    [
        ("vendor_id\t: AuthenticAMD\nmodel name\t: EPYC", "AMD"),
        ("vendor_id\t: GenuineIntel\n", "Intel"),
        ("vendor_id\t: HygonGenuine\n", ""),
        (None, "Intel"),
    ],
)
def test_the_make_is_read_from_the_system(monkeypatch, tmp_path, text, make):
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(device, "Path", lambda name: file)
    monkeypatch.setattr(device.platform, "processor", lambda: "Intel64 Family 6 Model 85 Stepping 7, GenuineIntel")
    assert find_cpu_make.__wrapped__() == make


def test_bfloat16_on_another_cpu_goes_by_onednn(monkeypatch):
    monkeypatch.setattr(device.platform, "machine", lambda: "aarch64")
    for answer in (True, False):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda answer=answer: answer)
        assert prefer_bfloat16("cpu")[0] is has_bfloat16("cpu") is answer


def test_a_cpu_whose_torch_has_no_onednn_computes_in_float32(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert prefer_bfloat16("cpu") == (False, "this CPU has no bfloat16")


def test_a_training_dtype_is_taken_as_asked():
    assert str(choose_training_dtype("bfloat16", "cpu")) == "bfloat16 (as asked)"
    assert choose_training_dtype("float32", "cpu").value == "float32"


@pytest.mark.usefixtures("cuda")
def test_the_token_budget_depends_on_device_and_width_only():
    assert [choose_batch_tokens("cpu", width) for width in (64, 384, 768, 1_024, 4_096)] == [
        2_048,
        2_048,
        1_024,
        768,
        512,
    ]
    assert choose_batch_tokens("cuda:0", 768) == 80 * 1_024
    assert choose_batch_tokens("cuda:0", 1_536) == 40 * 1_024
    assert choose_batch_tokens("cuda:1", 768) == 11 * 1_024
    assert choose_batch_tokens("cuda:1", 1_000_000) == 4_096
    assert choose_batch_tokens("cuda:1", 700) % 1_024 == 0


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_one_seed_gives_the_same_draws_and_another_seed_others():
    seen = []
    for seed in (7, 7, 8):
        with make_repeatable(seed, "cpu"):
            seen.append(draws())
    assert seen[0] == seen[1]
    assert all(one != other for one, other in zip(seen[0], seen[2], strict=True))


def test_the_training_device_is_seeded_not_the_current_one(monkeypatch):
    current = [torch.device("cuda:0")]
    seeded = []

    @contextlib.contextmanager
    def switched(to):
        current.append(to)
        yield
        current.pop()

    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "device", switched)
    monkeypatch.setattr(torch.cuda, "manual_seed", lambda seed: seeded.append((str(current[-1]), seed)))
    with make_repeatable(7, "cuda:1"):
        pass
    assert seeded == [("cuda:1", 7)]


@pytest.mark.parametrize("fails", [False, True])
def test_the_caller_s_generators_and_settings_are_restored(monkeypatch, fails):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        try:
            with make_repeatable(7, "cpu"):
                draws()
                assert not torch.is_deterministic_algorithms_warn_only_enabled()
                if fails:
                    raise ValueError
        except ValueError:
            pass
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_deterministic_kernels_are_chosen_within_and_only_within(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    assert not torch.are_deterministic_algorithms_enabled()
    with make_repeatable(7, "cpu"):
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()
