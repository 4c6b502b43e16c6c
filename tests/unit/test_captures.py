"""Answers that the real site gave; they are not part of the project."""

import contextlib
import importlib.util
import io
import subprocess
import sys

from tieba.cli import main
from tieba.pages import Received
from tieba.pages.web import WebPages


def parse_here(command, **_):
    """Run `tieba parse …` in this process: as processes they would take a second each."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = main(command[1:])
    return subprocess.CompletedProcess(command, status, out.getvalue(), "")


def test_captured_answers(captures, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("check", captures / "check.py")
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    monkeypatch.setattr(check.subprocess, "run", parse_here)
    monkeypatch.setattr(sys, "argv", ["check.py"])
    failed = check.main()
    report = capsys.readouterr().out
    assert failed == 0, report
    assert " passed, 0 failed" in report


def test_a_saved_thread_page_brings_the_comments_that_it_shows(captures):
    page = captures / "thread" / "2024-08_taibite_9117905169_p1_dom.html"
    answer = WebPages().read(Received(page.read_bytes()))
    assert {comment.post_id for comment in answer.comments} == {answer.posts[1].post_id}
    assert len(answer.comments) == 10
    assert sum(comment.reply_to_name is not None for comment in answer.comments) == 7
    assert all(comment.created_at and comment.text for comment in answer.comments)
