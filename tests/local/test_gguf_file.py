"""What stands in for the package's functions while a GGUF file is loaded, against those functions themselves."""

import gguf
import numpy as np
import pytest
from transformers import modeling_gguf_pytorch_utils as loader

from secondlook.local.gguf_file import read_once

REPLACED = [(gguf, "GGUFReader"), (gguf, "get_tensor_name_map"), (loader, "_gguf_parse_value"), (loader, "tqdm")]


@pytest.fixture
def file(tmp_path):
    """A file with a value of each kind, and a vocabulary."""
    writer = gguf.GGUFWriter(tmp_path / "small.gguf", "llama")
    writer.add_uint32("a.number", 7)
    writer.add_float32("a.fraction", 0.5)
    writer.add_bool("a.truth", True)
    writer.add_string("a.word", "straße")
    writer.add_array("a.numbers", [3, 1, 2])
    writer.add_array("a.vocabulary", [f"token {number}" for number in range(300)])
    writer.add_tensor("weights", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "small.gguf"


def values(reader):
    parse = loader._gguf_parse_value
    return {
        name: [parse(field.parts[place], field.types) for place in field.data] for name, field in reader.fields.items()
    }


def test_a_file_holds_what_the_package_reads(file):
    plain = gguf.GGUFReader(file)
    expected = values(plain)
    assert expected["a.vocabulary"][299] == "token 299"
    with read_once():
        reader = gguf.GGUFReader(file)
        assert values(reader) == expected
        assert reader.tensors[0].data.tolist() == plain.tensors[0].data.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_it_is_taken_apart_once(file, monkeypatch):
    parse, parsed = loader._gguf_parse_value, []
    monkeypatch.setattr(loader, "_gguf_parse_value", lambda part, kinds: parsed.append(part) or parse(part, kinds))
    with read_once():
        reader = gguf.GGUFReader(file)
        first, count = values(reader), len(parsed)
        assert gguf.GGUFReader(file) is reader
        assert type(reader.data) is np.ndarray
        assert values(reader) == first
        assert len(parsed) == count > 300


def test_parts_that_nobody_else_holds_keep_their_values():
    """Else the next part would come to lie at the same address."""
    word = [gguf.GGUFValueType.STRING]
    with read_once():
        read = [loader._gguf_parse_value(np.frombuffer(b"%d" % number, np.uint8), word) for number in range(200)]
    assert read == [str(number) for number in range(200)]


def test_what_stood_there_stands_there_again():
    own = [getattr(module, name) for module, name in REPLACED]

    def stopped():
        with read_once():
            assert not any(getattr(module, name) is one for (module, name), one in zip(REPLACED, own, strict=True))
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        stopped()
    assert all(getattr(module, name) is one for (module, name), one in zip(REPLACED, own, strict=True))


def test_a_function_that_a_version_lacks_is_passed_over(file, monkeypatch):
    monkeypatch.delattr(loader, "_gguf_parse_value")
    with read_once():
        assert gguf.GGUFReader(file).get_field("a.number").contents() == 7
    assert not hasattr(loader, "_gguf_parse_value")
