"""Every study runs at a small size, so that none rots; its numbers are for the report and the library's own tests."""

import importlib

import pytest

from tests.studies.__main__ import SUITE


@pytest.mark.parametrize("name", SUITE)
def test_a_study_fills_its_tables(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"tests.studies.{name}")

    tables = module.run(module.SMALL.split())
    shown = capsys.readouterr().out

    for table in tables:
        assert {len(table.columns)} == {len(row) for row in table.rows}
        assert table.title in shown
