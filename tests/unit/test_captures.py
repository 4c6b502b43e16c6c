"""Answers that the real site gave; they are not part of the project."""

import importlib.util
import json

import pytest

from tieba.cli import main


@pytest.mark.parametrize("folder", ["api", "error"])
def test_captured_answers(captures, capsys, folder):
    spec = importlib.util.spec_from_file_location("check", captures / "check.py")
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    expected = json.loads((captures / "expected.json").read_text(encoding="utf-8"))
    wanted = {name: want for name, want in expected.items() if name.startswith(f"{folder}/")}
    assert wanted
    for name, want in wanted.items():
        assert main(["parse", *want.get("arguments", []), str(captures / name)]) == 0
        got = json.loads(capsys.readouterr().out)
        differences = [("outcome", got["outcome"], want.get("outcome", "ok"))]
        if want.get("kind") in check.CHECKS:
            differences += check.CHECKS[want["kind"]](got, want)
        assert [(name, *difference) for difference in differences if difference[1] != difference[2]] == []
