import pytest
import torch

from secondlook.subject.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(3, 12, 12), (2, 8, 24), (2, 24, 8)])
def test_matrices_become_nearly_orthogonal_and_keep_their_singular_vectors(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    diagonal = u.mT @ orthogonal(matrices) @ v.mT
    values = diagonal.diagonal(dim1=1, dim2=2)
    assert 0.3 < values.min() < values.max() < 1.3
    assert (diagonal - torch.diag_embed(values)).abs().max() < 1e-3


@pytest.mark.parametrize("shape", [(12, 12), (8, 24), (24, 8)])
def test_steps_are_those_of_torch_up_to_its_half_precision(shape):
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(shape, generator=generator)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimizers = [Muon([ours], lr=0.1), torch.optim.Muon([theirs], lr=0.1, weight_decay=0.01)]
    for _ in range(4):
        gradient = torch.randn(shape, generator=generator)
        for weight, optimizer in zip((ours, theirs), optimizers, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    assert (ours - start).norm() > 0.5
    assert (ours - theirs).norm() < 0.03 * (ours - start).norm()
