"""Figures tell their curves apart."""

from unittest.mock import Mock

from secondlook.evidence import figures
from secondlook.evidence.result import write


def test_forty_curves_without_a_transformer_look_each_its_own_way():
    panel = {"title": "Many", "x": "x", "y": "y", "scale": "linear"}
    curve = {"kind": "baseline", "x": [1.0, 2.0], "value": [1.0, 2.0], "low": [None, None], "high": [None, None]}
    axes = Mock()
    figures._panel(axes, panel, [curve | {"label": str(number)} for number in range(40)])
    looks = {(call.kwargs["color"], call.kwargs["linestyle"]) for call in axes.plot.call_args_list}
    assert len(looks) == 40


def test_a_result_with_nothing_to_draw_is_written_all_the_same(tmp_path):
    write({"id": "S3", "panels": [], "curves": []}, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
