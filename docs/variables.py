#!/usr/bin/env python3
"""Writes docs/variables.md from the roles' argument specifications.

usage: docs/variables.py [--check]     with --check only says whether the file is up to date
"""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "variables.md"
HEAD = """# Variables

Made by `docs/variables.py` from `roles/*/meta/argument_specs.yml`. Set them in an inventory's
`group_vars/` or with `-e`; a wrong type or value fails before any machine is touched.
"""


def page() -> str:
    """Return the page's text."""
    parts = [HEAD]
    for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")):
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]
        options = spec.get("options") or {}
        if not options:
            continue
        parts.append(f"\n## {path.parts[-3]}\n\n{_text(spec['short_description'])}.\n")
        parts.append("\n| variable | type | default | meaning |\n| --- | --- | --- | --- |\n")
        for name, option in options.items():
            default = option.get("default", "required" if option.get("required") else "")
            shown = f"`{default}`" if default not in ("", None, []) else ""
            cells = (f"`{name}`", option["type"], _text(shown), _text(option["description"]))
            parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts)


def _text(value: object) -> str:
    words = " ".join(value) if isinstance(value, list) else str(value)
    return " ".join(words.split()).replace("|", "\\|").rstrip(".")


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        fresh = PAGE.read_text(encoding="utf-8") == page()
        sys.exit(0 if fresh else f"{PAGE}: out of date; run docs/variables.py")
    PAGE.write_text(page(), encoding="utf-8")
