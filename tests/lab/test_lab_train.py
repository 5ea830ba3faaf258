"""Training: a member is what it is alone, a stopped run ends as one that was not, and what breaks leaves what was."""

from dataclasses import replace

import pytest
import torch

from secondlook.lab import train as training
from secondlook.lab.exam import Exam
from secondlook.lab.objectives import judge
from secondlook.lab.run import Run, Shape
from secondlook.lab.tasks import Task, sample
from secondlook.lab.tokens import reads, tokens
from secondlook.lab.train import Options, train
from secondlook.transformer import Transformer

TINY = Run(Task(n=5), Shape(depth=1, width=12, heads=2), batch=8, steps=12, warmup=2)
LOOK = Options(exam=16, look_every=4, save_every=5)


def plain(run):
    """The same training without anything shared: one module, one optimiser, a loop over problems and prefixes."""
    model = Transformer(run.shape.transformer(run.task), torch.Generator().manual_seed(run.seed))
    generator = torch.Generator().manual_seed(2**40 + run.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=run.rate, betas=(0.9, run.beta2), weight_decay=run.decay)
    at, seen = reads(run.task, run.shape.layout)
    for step in range(run.steps):
        episodes = sample(run.task, run.batch, generator)
        made = model(tokens(episodes, run.shape.layout))
        losses = []
        for b in range(run.batch):
            for position, count in zip(at, seen, strict=True):
                y, r = episodes.responses[b, 0, :count], episodes.rewards[b, 0, :count]
                s = torch.cosine_similarity(made[b, position][None], y[r.argsort(descending=True)], dim=-1)
                losses.append(sum(s[i:].logsumexp(0) - s[i] for i in range(count)))
        optimizer.zero_grad()
        torch.stack(losses).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), run.clip)
        for group in optimizer.param_groups:
            group["lr"] = run.rate * run.factor(step)
        optimizer.step()
    return model.state_dict()


def same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, weights in one.items():
        if tolerance["rtol"] and name.endswith("key.bias"):
            continue  # it shifts all scores of a softmax alike: its gradient is rounding, of which Adam makes steps
        torch.testing.assert_close(weights, other[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_training_is_what_a_plain_loop_does(decay):
    run = replace(TINY, decay=decay)
    (trained,) = train([run], options=LOOK)
    same(trained.weights, plain(run), rtol=2e-3, atol=2e-5)


def test_a_member_is_what_it_is_alone():
    noisy = replace(TINY.task, p=0.5)
    runs = [TINY, replace(TINY, seed=1, rate=1e-2), replace(TINY, seed=2, task=noisy), replace(TINY, objective="bt")]
    for member, run in zip(train(runs, options=LOOK), runs, strict=True):
        (alone,) = train([run], options=LOOK)
        same(member.weights, alone.weights, rtol=1e-3, atol=1e-5)
        assert [look["step"] for look in member.log] == [0, 4, 8, 12]
        for look, other in zip(member.log, alone.log, strict=True):
            assert look == pytest.approx(other, rel=1e-3, abs=1e-4)


def test_the_same_seed_is_the_same_run_bit_for_bit():
    first, again = (train([TINY], options=LOOK)[0] for _ in range(2))
    same(first.weights, again.weights, rtol=0, atol=0)
    assert first.log == again.log


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("stop", [5, 7, 10])
def test_a_stopped_run_ends_as_one_that_was_not(tmp_path, members, stop):
    runs = [replace(TINY, seed=seed) for seed in range(members)]
    whole = train(runs, options=LOOK)

    def interrupted(step):
        if step == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(runs, tmp_path, LOOK, tick=interrupted)
    done = []
    for trained, other in zip(train(runs, tmp_path, LOOK, tick=done.append), whole, strict=True):
        same(trained.weights, other.weights, rtol=0, atol=0)
        assert trained.log == other.log
    # What comes first is the last checkpoint; the step that was stopped had not been saved yet.
    assert done[0] == {5: 1, 7: 5, 10: 5}[stop]
    assert done[-1] == TINY.steps


def test_a_loss_that_is_not_finite_keeps_what_was_saved(tmp_path, monkeypatch):
    """The loss of one member becomes nan: the message names it, weights and checkpoint stay."""
    runs = [TINY, replace(TINY, seed=1)]
    calls = []

    def broken(predictions, episodes, seen, objective):
        calls.append(objective)
        loss = judge(predictions, episodes, seen, objective)
        return loss * float("nan") if len(calls) == 2 * 7 else loss

    monkeypatch.setattr(training, "judge", broken)
    with pytest.raises(FloatingPointError, match=rf"{runs[1].name} is nan in step 6: what was saved is kept; lower"):
        train(runs, tmp_path, LOOK)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 5
    monkeypatch.undo()
    for trained, other in zip(train(runs, tmp_path, LOOK), train(runs, options=LOOK), strict=True):
        same(trained.weights, other.weights, rtol=0, atol=0)


def test_a_checkpoint_of_other_runs_is_refused(tmp_path):
    train([TINY], tmp_path, LOOK)
    with pytest.raises(ValueError, match="checkpoint belongs to other runs; give another folder"):
        train([replace(TINY, rate=1.0)], tmp_path, LOOK)


def test_bfloat16_products_are_close():
    (half,), (full,) = (train([replace(TINY, steps=4)], options=replace(LOOK, bf16=bf16)) for bf16 in (True, False))
    assert half.log[-1]["loss"] == pytest.approx(full.log[-1]["loss"], rel=0.02)
    assert half.log[-1]["loss"] != full.log[-1]["loss"]


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("members", [1, 2])
def test_a_compiled_forward_pass_is_the_same(members):
    runs = [replace(TINY, steps=3, seed=seed) for seed in range(members)]
    for fast, usual in zip(*(train(runs, options=replace(LOOK, compile=c)) for c in (True, False)), strict=True):
        same(fast.weights, usual.weights, rtol=1e-3, atol=1e-5)


def test_what_was_trained_predicts_as_the_ensemble_did():
    (trained,) = train([TINY], options=LOOK)
    exam = Exam.of(TINY.task, TINY.objective, 16)
    _, seen = reads(TINY.task, "merged")
    assert exam.look(trained.predict(exam.episodes), seen) == pytest.approx(
        {name: value for name, value in trained.log[-1].items() if name != "step"}, rel=1e-4
    )


@pytest.mark.parametrize("layout", ["merged", "interleaved"])
@pytest.mark.parametrize(
    "change", [{}, {"attention": "linear"}, {"feedforward": 0}, {"heads": 1}, {"norm": False}, {"head_width": 5}]
)
def test_later_tokens_never_change_earlier_outputs(layout, change):
    """Every variant of every ablation is causal."""
    shape = replace(Shape(layout, depth=2, width=12, heads=2), **change)
    model = Transformer(shape.transformer(TINY.task), torch.Generator().manual_seed(0))
    x = tokens(sample(TINY.task, 3, torch.Generator().manual_seed(1)), layout)
    before = model(x)
    for cut in range(1, x.shape[1]):
        other = x.clone()
        other[:, cut:] = torch.randn(other[:, cut:].shape, generator=torch.Generator().manual_seed(cut))
        after = model(other)
        torch.testing.assert_close(after[:, :cut], before[:, :cut], rtol=1e-5, atol=1e-7)
        assert not torch.allclose(after[:, cut:], before[:, cut:], atol=1e-5)
