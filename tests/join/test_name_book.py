"""Names are numbered once, whoever tells them, and who holds the texts of a full book keeps them."""

from __future__ import annotations

from unittest.mock import patch

from monitor.join import name_book
from monitor.join.name_book import NameBook


def test_equal_names_have_one_number_whether_scanned_or_encoded() -> None:
    book = NameBook()
    encoded: list[bytes] = []

    def encode(names: bytes) -> bytes:
        encoded.append(names)
        return names.upper()

    assert ([0, 1, 0], []) == book.scanned([b"a", b"b", b"a"], encode)
    assert [1, 2] == book.numbers([b"B", b"C"])
    assert ([2, 0], []) == book.scanned([b"c", b"a"], encode)
    assert [b"A", b"B", b"C"] == book.texts
    assert [b"a", b"b", b"c"] == encoded


def test_places_without_names_are_told() -> None:
    numbers, empty = NameBook().scanned([b"", b"a", b"", b"b"], bytes.upper)
    assert [0, 2] == empty
    assert [0, 1] == [numbers[1], numbers[3]]


def test_a_full_book_is_begun_anew_and_what_it_told_stays() -> None:
    book = NameBook()
    with patch.object(name_book, "NAMES_KEPT", 2):
        book.begin_anew_if_full()
        book.numbers([b"A", b"B"])
        before = book.texts
        book.begin_anew_if_full()
        assert [0] == book.numbers([b"C"])
    assert [b"A", b"B"] == before
    assert [b"C"] == book.texts
