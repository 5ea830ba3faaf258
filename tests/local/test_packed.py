"""Packed weights give the products of the map they were made from, and are taken only where they can be."""

import pytest
import torch
from torch import nn

from secondlook.local.model import LocalModel
from secondlook.local.packed import PackedLinear, pack


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1,), (3, 1), (2, 7), (300,)])
def test_products_are_those_of_the_map(shape, bias):
    torch.manual_seed(0)
    linear, x = nn.Linear(96, 130, bias=bias), torch.randn(*shape, 96)
    exact = nn.functional.linear(x.double(), linear.weight.double(), linear.bias.double() if bias else None)
    with torch.inference_mode():
        torch.testing.assert_close(PackedLinear(linear)(x).double(), exact, rtol=1e-5, atol=1e-5)


class Doubled(nn.Linear):
    """A map that does more than multiply."""

    def forward(self, x):
        return 2 * super().forward(x)


def test_maps_of_another_precision_and_of_another_kind_stay():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Sequential(nn.Linear(5, 4).bfloat16(), Doubled(4, 4)))
    assert pack(model) == 1
    assert [type(part).__name__ for part in model.modules() if isinstance(part, (nn.Linear, PackedLinear))] == [
        "PackedLinear",
        "Linear",
        "Doubled",
    ]


def test_nothing_is_packed_where_torch_has_no_onednn(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pack(model := nn.Sequential(nn.Linear(4, 5))) == 0
    assert type(model[0]) is nn.Linear


def test_a_local_model_packs_all_of_its_maps_and_says_the_same():
    packed, plain = LocalModel("planted", "cpu"), LocalModel("planted", "cpu", packed=False)
    kinds = [{type(part) for part in model.model.modules()} for model in (packed, plain)]
    assert PackedLinear in kinds[0]
    assert nn.Linear not in kinds[0]
    assert PackedLinear not in kinds[1]
    ids = torch.randint(4, plain.model.config.vocab_size, (3, 40), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(packed.model(ids).logits, plain.model(ids).logits, rtol=1e-4, atol=1e-4)
