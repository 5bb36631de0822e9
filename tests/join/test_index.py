"""Indexes: RocksDB behaves as a sorted dictionary, keeps whole batches only, and damage is told."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given

from monitor.join.index import Batch, CorruptIndex, Index, MemoryIndex
from monitor.join.rocks import IndexInUse, RocksIndex, open_rocks
from tests.core.strategies import examples, seeds

KEYS = [bytes([letter]) + number.to_bytes(2, "big") for letter in b"ewx" for number in range(20)]


def random_batches(rng: random.Random) -> list[Batch]:
    return [
        {rng.choice(KEYS): rng.choice((None, b"", rng.randbytes(9))) for _ in range(rng.randrange(12))}
        for _ in range(rng.randrange(1, 4))
    ]


@examples(15)
@given(seed=seeds)
def test_rocksdb_and_memory_hold_the_same_after_any_batches(seed: int) -> None:
    rng = random.Random(seed)
    directory = FOLDER[0] / str(len(list(FOLDER[0].iterdir())))
    ours, authority = RocksIndex(directory), dict[bytes, bytes]()
    memory = MemoryIndex()
    for _ in range(8):
        batches = random_batches(rng)
        ours.commit(batches)
        memory.commit(batches)
        for batch in batches:
            for key, value in batch.items():
                authority.pop(key, None)
                authority.update({} if value is None else {key: value})
        if rng.random() < 0.3:
            ours.close()
            ours = RocksIndex(directory)
        first, last = sorted(rng.sample(KEYS, 2))
        for index in (ours, memory):
            assert [authority.get(key) for key in KEYS] == index.read(KEYS)
            assert sorted(key for key in authority if first <= key < last) == index.scan(first, last)
    ours.clear()
    assert [] == ours.scan(b"", b"\xff")
    ours.close()


@pytest.mark.parametrize("make", [lambda _: MemoryIndex(), RocksIndex], ids=["memory", "rocksdb"])
def test_nothing_is_read_from_no_keys(make: type[RocksIndex], tmp_path: Path) -> None:
    index: Index = make(tmp_path / "index")
    assert [] == index.read([])
    index.close()


WRITER = """
import sys
from pathlib import Path
from monitor.join.rocks import RocksIndex
index = RocksIndex(Path(sys.argv[1]))
for number in range(1_000_000):
    text = str(number).encode()
    index.commit([{key.to_bytes(2, "big"): text for key in range(300)}, {b"position": text}])
    print(number, flush=True)
"""


@pytest.mark.parametrize("after", [3, 40])
def test_a_process_that_is_killed_leaves_whole_commits_and_none_lost(tmp_path: Path, after: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "index")], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(after)]
        writer.send_signal(signal.SIGKILL)
        told += [int(line) for line in writer.stdout.read().splitlines()]
    index, damage = open_rocks(tmp_path / "index")
    values = set(index.read([*(key.to_bytes(2, "big") for key in range(300)), b"position"]))
    index.close()
    assert damage is None
    assert 1 == len(values)
    assert int(values.pop() or -1) >= max(told)


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST"])
def test_an_index_that_cannot_be_opened_is_made_anew_and_it_is_told_why(tmp_path: Path, name: str) -> None:
    index = RocksIndex(tmp_path / "index")
    index.commit([{b"e1": b"value"}])
    index.close()
    for file in (tmp_path / "index").glob(f"{name}*"):
        file.write_bytes(b"not what was here")
    index, damage = open_rocks(tmp_path / "index")
    assert damage is not None
    assert "cannot open" in damage
    assert [None] == index.read([b"e1"])
    index.close()


def test_a_file_where_the_directory_should_be_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a file")
    index, damage = open_rocks(tmp_path / "index")
    index.close()
    assert damage is not None


def test_a_damaged_table_is_told_when_it_is_read(tmp_path: Path) -> None:
    index = RocksIndex(tmp_path / "index")
    index.commit([{number.to_bytes(4, "big"): random.Random(number).randbytes(500) for number in range(2000)}])
    index.settle()
    index.close()
    for file in (tmp_path / "index").glob("*.sst"):
        data = bytearray(file.read_bytes())
        data[: len(data) // 2] = bytes(len(data) // 2)
        file.write_bytes(data)
    with pytest.raises(CorruptIndex, match=r"index: cannot (open|read)"):  # noqa: PT012 - either may notice
        index = RocksIndex(tmp_path / "index")
        try:
            index.read([number.to_bytes(4, "big") for number in range(2000)])
        finally:
            index.close()


def test_an_index_in_use_is_left_alone(tmp_path: Path) -> None:
    index = RocksIndex(tmp_path / "index")
    index.commit([{b"e1": b"value"}])
    with pytest.raises(IndexInUse, match="expected an index that nobody has open"):
        open_rocks(tmp_path / "index")
    assert [b"value"] == index.read([b"e1"])
    index.close()


def test_an_index_in_use_by_another_process_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "index")], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(IndexInUse):
            open_rocks(tmp_path / "index")
        writer.kill()


FOLDER: list[Path] = []


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    FOLDER[:] = [tmp_path_factory.mktemp("indexes")]
