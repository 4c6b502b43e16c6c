"""The page's translations: complete, and compiled from what is in the .po files."""

from pathlib import Path

import pytest
from babel.messages import extract, mofile, pofile
from babel.messages.frontend import parse_mapping_cfg

import dashboard
from dashboard.pages import templates

FOLDER = Path(dashboard.__file__).parent
FOLDERS = (FOLDER, FOLDER.parent / "tieba")
KEYWORDS = {**extract.DEFAULT_KEYWORDS, "Phrase": None}
CATALOGS = sorted((FOLDER / "locale").glob("*/LC_MESSAGES/dashboard.po"))


@pytest.fixture(scope="module")
def used():
    with (FOLDER / "locale" / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    return {
        message
        for folder in FOLDERS
        for _, _, message, _, _ in extract.extract_from_dir(str(folder), methods, options, KEYWORDS)
    }


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.parts[-3])
def test_every_text_is_translated(path, used):
    with path.open("rb") as file:
        catalog = pofile.read_po(file)
    there = {message.id: message for message in catalog if message.id}
    assert there.keys() == used, "run crawler/dashboard/locale/update"
    empty = [message.id for message in there.values() if not all(_texts(message.string))]
    assert not empty
    faults = [str(error) for message in catalog for error in message.check(catalog)]
    assert not faults


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.parts[-3])
def test_translations_are_compiled(path):
    with path.open("rb") as file:
        catalog = pofile.read_po(file)
    with path.with_suffix(".mo").open("rb") as file:
        compiled = mofile.read_mo(file)
    assert _translations(compiled) == _translations(catalog), "run crawler/dashboard/locale/update"


def test_chinese_has_colons_of_its_own():
    alarm = {"name": "address_blocked", "subject": "192.0.2.1"}
    shown = templates("zh").get_template("live/announced.html").render(alarms=[alarm])
    assert "地址被封：192.0.2.1" in shown


def _translations(catalog):
    return {tuple(_texts(message.id)): tuple(_texts(message.string)) for message in catalog if message.id}


def _texts(string):
    return [string] if isinstance(string, str) else string
