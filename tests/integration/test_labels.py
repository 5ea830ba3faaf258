"""Replies are drawn for people to label, and what they say stays with the run and corrects its numbers."""

import json

import pandas as pd

from command import secondlook


def test_labels_of_a_run_are_drawn_kept_and_used(tmp_path):
    run, drawn, labels = tmp_path / "run", tmp_path / "drawn.jsonl", tmp_path / "labels.jsonl"
    model = ("--model", "secondlook/planted", "--reply-tokens", "16")
    assert secondlook("eval", "planted", *model, "--limit", 12, "--out", run).code == 0
    assert secondlook("label", run, "--out", drawn, "--n", 24).code == 0
    lines = [json.loads(line) for line in drawn.read_text().splitlines()]
    assert len({(line["sample"], line["round"]) for line in lines}) == 24
    assert "may hold labels" in secondlook("label", run, "--out", drawn).error
    assert "hold no label" in secondlook("report", run, "--judge-labels", drawn).error
    table = pd.read_csv(run / "records.csv").set_index(["sample", "round"])
    for line in lines:
        assert table.loc[line["sample"], line["round"]]["answer"] in line["reply"]
        line["correct"] = bool(table.loc[line["sample"], line["round"]]["correct"])
    labels.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert secondlook("report", run, "--judge-labels", labels).code == 0
    assert (run / "judge-labels.jsonl").read_text() == labels.read_text()
    # A file of the user's that is named alike, in the run's own folder, stays the user's.
    (own := run / "judge-labels.v2.jsonl").write_text(labels.read_text())
    assert secondlook("report", run, "--judge-labels", own).code == 0
    assert (run / "judge-labels.jsonl").read_text() == own.read_text() == labels.read_text()
    shown = secondlook("diagnose", run, "--judge-labels", labels)
    assert "Right, corrected by people's labels: round 0 " in " ".join(shown.out.split())
    found = json.loads(secondlook("diagnose", run, "--judge-labels", labels, "--json").out)
    first = found["rounds"][0]
    assert abs(first["accuracy_corrected"]["value"] - first["accuracy"]["value"]) < 1e-9  # people agree with the judge
    assert "How sure the first answer was: AUROC" in " ".join(shown.out.split())
