"""How a model is spoken to: addresses, keys and errors."""

import pytest

from secondlook.evaluation.asking import Endpoint, RunError, one_line, shortened


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "LOCAL_API_KEY", "MY_HOST_API_KEY", "LOCAL_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "127.1.2.3"])
def test_a_server_on_this_machine_needs_no_key(host):
    model = Endpoint(model="openai-api/local/m", base_url=f"http://{host}/v1").open()
    assert model.api.api_key == "not-needed"
    assert str(model) == "openai-api/local/m"


@pytest.mark.parametrize("host", ["10.0.0.1:8000", "example.org", "localhost.example.org"])
def test_another_machine_does(host):
    with pytest.raises(RunError, match=r"^model 'openai-api/my-host/m' cannot be used: .*MY_HOST_API_KEY"):
        Endpoint(model="openai-api/my-host/m", base_url=f"http://{host}/v1").open()


def test_a_key_that_is_set_is_used(monkeypatch):
    monkeypatch.setenv("LOCAL_API_KEY", "mine")
    assert Endpoint(model="openai-api/local/m", base_url="http://127.0.0.1:1/v1").open().api.api_key == "mine"


def test_a_key_that_is_given_is_used():
    endpoint = Endpoint(model="openai-api/local/m", base_url="http://127.0.0.1:2/v1", model_args={"api_key": "given"})
    assert endpoint.open().api.api_key == "given"


def test_the_address_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("LOCAL_BASE_URL", "http://127.0.0.1:3/v1")
    model = Endpoint(model="openai-api/local/m").open()
    assert model.api.base_url == "http://127.0.0.1:3/v1"
    assert model.api.api_key == "not-needed"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"temperature": -0.1}, "temperature is -0.1; give 0 or more"),
        ({"temperature": float("nan")}, "temperature is nan; give 0 or more"),
        ({"max_tokens": 0}, "reply tokens is 0; give 1 or more"),
        ({"max_connections": 0}, "max connections is 0; give 1 or more"),
        ({"max_retries": -1}, "max retries is -1; give 0 or more"),
        ({"timeout": 0}, "timeout is 0; give 1 or more"),
    ],
)
def test_numbers_out_of_range_are_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        Endpoint(model="a/b", **fields)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("planted", "give PROVIDER/NAME"),
        ("nobody/m", "give PROVIDER/NAME"),
        ("secondlook/nobody", "one of planted"),
        ("openai/m", "; export OPENAI_API_KEY=…$"),
        ("anthropic/m", "; export ANTHROPIC_API_KEY=…$"),
        ("openai-api/my-host/m", "; export MY_HOST_(API_KEY|BASE_URL)=…$"),
    ],
)
def test_a_model_that_cannot_be_had_is_one_line(name, remedy):
    with pytest.raises(RunError, match=remedy) as caught:
        Endpoint(model=name).open()
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "[" not in str(caught.value)


def test_an_error_on_one_line():
    assert one_line(ValueError("two\n  lines [here]")) == "two lines [here]"
    assert one_line(ValueError()) == "ValueError"
    assert shortened("a" * 1000) == "a" * 399 + "…"
