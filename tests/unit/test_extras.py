"""What needs an extra of the distribution, on a machine without it."""

import sys

import pytest

from tieba.checks import check_servers
from tieba.cli import main
from tieba.config import Config
from tieba.errors import Unusable


@pytest.mark.parametrize(("kind", "library"), [("parquet", "pyarrow"), ("xlsx", "xlsxwriter")])
def test_a_format_without_its_library_says_where_it_can_be_written(monkeypatch, capsys, kind, library):
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed
    assert main(["export", "--format", kind]) == 1
    said = capsys.readouterr().err
    assert f"--format {kind}: needs {library}; run it on the master" in said
    assert said.count("\n") == 1


async def test_pictures_in_a_bucket_without_its_library_are_refused_at_the_start(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(Unusable, match="pictures_store: s3://bucket: needs botocore"):
        await check_servers(Config(pictures=True, pictures_store="s3://bucket"))
