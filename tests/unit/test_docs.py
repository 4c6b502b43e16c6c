"""The documents say what the code says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh.md")


def variables():
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            yield from (entry.get("options") or {}).items()


def test_the_variables_page_is_up_to_date():
    check = [sys.executable, str(ROOT / "docs" / "variables.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("readme", READMES)
def test_the_readmes_variables_exist_with_the_defaults_they_name(readme):
    known = dict(variables())
    text = (ROOT / readme).read_text(encoding="utf-8")
    section = re.search(r"^## (?:Variables|变量)\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)?", section.group(1), re.MULTILINE)
    assert len(rows) > 10
    for name, default in rows:
        assert name in known, f"{name} in {readme}"
        if default:
            assert known[name].get("default") == yaml.safe_load(default), f"{name} in {readme}"


def test_both_readmes_name_the_same_commands_and_variables():
    english, chinese = (
        set(
            re.findall(
                r"`(make [\w-]+|[a-z]+_[a-z_]+|[a-z_/]+\.yml)",
                (ROOT / readme).read_text(encoding="utf-8"),
            )
        )
        for readme in READMES
    )
    assert english == chinese


PAGES = [*READMES, "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / page).parent.joinpath(link).exists(), f"{link} in {page}"


def test_every_make_target_in_the_readme_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for readme in READMES:
        named = set(re.findall(r"`?make ([a-z-]+)", (ROOT / readme).read_text(encoding="utf-8")))
        assert named - {"and"} <= targets, readme
