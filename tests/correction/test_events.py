"""Streams of events are read whatever bytes they hold."""

import pytest

from secondlook.correction.events import Event, read_events

HALF = b"\xed\xa0\xbd"  # half a pair of surrogates, as some servers write it


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("한".encode(), "한"),  # ed 95 9c: ED begins Hangul too
        ("한".encode() + b"\xff", "한\ufffd"),
        (b"\xff\xed", "\ufffd\ufffd"),
        (b"caf\xe9", "caf\ufffd"),
        (HALF, "\ud83d"),
        (HALF + b"\xff", "\ufffd" * 4),
    ],
)
def test_one_bad_byte_costs_no_more_than_a_character(sent, read):
    assert [*read_events(b'data: {"x": "' + sent + b'"}\n\ndata: [DONE]\n\n')] == [
        Event(None, {"x": read}),
        Event(None, "[DONE]"),
    ]


def test_what_was_read_can_be_written():
    sent = b"event: " + HALF + b'\ndata: {"x": 1}\n\ndata: ' + HALF + b"\n\n"
    assert b"".join(each.written() for each in read_events(sent)) == sent
