"""Indexes: RocksDB behaves as a sorted dictionary, keeps whole batches only, and damage is told."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given

from monitor.join.index import Batch, CorruptIndex, Index, MemoryIndex
from monitor.join.rocks import IndexInUse, IndexMemory, RocksIndex
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
from monitor.join.rocks import IndexMemory, RocksIndex
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
    index = RocksIndex(tmp_path / "index")
    values = set(index.read([*(key.to_bytes(2, "big") for key in range(300)), b"position"]))
    index.close()
    assert 1 == len(values)
    assert int(values.pop() or -1) >= max(told)


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST"])
def test_an_index_that_cannot_be_opened_is_told_to_be_corrupt(tmp_path: Path, name: str) -> None:
    index = RocksIndex(tmp_path / "index")
    index.commit([{b"e1": b"value"}])
    index.close()
    for file in (tmp_path / "index").glob(f"{name}*"):
        file.write_bytes(b"not what was here")
    with pytest.raises(CorruptIndex, match="index: cannot open"):
        RocksIndex(tmp_path / "index")


def test_a_dropped_range_is_gone_and_nothing_beside_it(tmp_path: Path) -> None:
    for index in (MemoryIndex(), RocksIndex(tmp_path / "index")):
        index.commit([dict.fromkeys(KEYS, b"value")])
        index.commit([{KEYS[25]: b"new"}], drop=[(KEYS[20], KEYS[25])])
        assert KEYS[:20] + KEYS[25:] == index.scan(b"", b"\xff")
        assert KEYS[:20] + KEYS[25:30] == index.scan(b"", b"\xff", limit=25)
        assert [b"value", None, b"new"] == index.read([KEYS[19], KEYS[20], KEYS[25]])
        index.close()


WRITER_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from monitor.join.index import IndexUnavailable
from monitor.join.rocks import IndexMemory, RocksIndex
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
index = RocksIndex(Path(sys.argv[1]))
index.commit([{b"kept": b"value"}])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
for number in range(100):
    batch = {bytes([number, key]): bytes(1000) + bytes([key]) for key in range(100)}
    try:
        index.commit([batch])
    except IndexUnavailable as error:
        break
else:
    sys.exit("nothing was refused")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
index.reopen()
found = index.read([b"kept"])
index.commit([batch])
print(number, found[0].decode(), index.read(list(batch)) == list(batch.values()))
index.close()
"""


def test_a_batch_that_the_disk_refuses_can_be_written_again_once_it_has_room(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITER_ON_A_FULL_DISK, str(tmp_path / "index")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr[-2000:])
    assert ["value", "True"] == done.stdout.split()[1:]


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
        RocksIndex(tmp_path / "index")
    assert [b"value"] == index.read([b"e1"])
    index.close()


def test_an_index_in_use_by_another_process_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "index")], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(IndexInUse):
            RocksIndex(tmp_path / "index")
        writer.kill()


FOLDER: list[Path] = []


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    FOLDER[:] = [tmp_path_factory.mktemp("indexes")]


def test_indexes_share_the_memory_that_they_are_given(tmp_path: Path) -> None:
    memory = IndexMemory(8 * 1024 * 1024)
    indexes = [RocksIndex(tmp_path / str(number), memory=memory) for number in range(3)]
    keys = [b"%08d" % number for number in range(1000)]
    unwritten, read = [memory.unwritten.get_usage()], [memory.cache.get_usage()]
    for index in indexes:
        index.commit([{key: key * 8 for key in keys}])
        unwritten.append(memory.unwritten.get_usage())
    for index in indexes:
        index.flush()
        assert [key * 8 for key in keys] == index.read(keys)
        read.append(memory.cache.get_usage())
        index.close()
    for usage in (unwritten, read):
        assert all(less < more for less, more in pairwise(usage))
