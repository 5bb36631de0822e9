"""What we rely on inside Faust and aiokafka. A red test means: stop, read upstream again, then change the pin."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import time
from collections.abc import Iterator
from functools import partial
from importlib.metadata import entry_points, version
from inspect import getsource, iscoroutinefunction, signature
from typing import Any
from unittest.mock import AsyncMock, Mock

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.sender import Sender, SendProduceReqHandler
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.structs import ConsumerRecord
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.threads import ServiceThread

from monitor.streaming.consumer import BatchConsumer, watch_membership
from monitor.streaming.fetch import BatchRecords, deliver_batches
from monitor.streaming.transport import Batching, BatchTransport


def parameters(function: Any) -> list[str]:
    return [*signature(function).parameters]


def test_the_pinned_versions_are_installed() -> None:
    assert ("0.15.3", "0.14.0") == (version("faust-streaming"), version("aiokafka"))


def test_the_url_scheme_leads_to_our_transport() -> None:
    [found] = entry_points(group="faust.transports", name="moderation")
    assert found.load() is BatchTransport


def test_a_fetcher_stores_lazy_results_that_can_be_exchanged() -> None:
    assert ["self", "assignment", "node_id", "request"] == parameters(Fetcher._proc_fetch_request)
    assert iscoroutinefunction(Fetcher._proc_fetch_request)
    source = getsource(Fetcher._proc_fetch_request)
    stored = source.index("self._records[tp] = FetchResult(")
    assert "await " not in source[stored:]  # nobody sees a result before it is exchanged
    assert "self._proc_fetch_request(" in getsource(Fetcher._fetch_requests_routine)  # looked up on the instance
    for said in (  # the bytes of a partition are the last thing that an answer says of it
        "response = await self._client.send(node_id, request)",
        "for topic, partitions in response.topics:",
        "for partition, error_code, highwater, *part_data in partitions:",
        "records = MemoryRecords(part_data[-1])",
    ):
        assert said in source
    assert "type(res_or_error) is FetchResult" in getsource(Fetcher.fetched_records)
    assert ["self", "tp", "assignment", "partition_records", "backoff"] == parameters(FetchResult.__init__)
    expected = "self tp records aborted_transactions fetch_offset key_deserializer value_deserializer check_crcs"
    assert [*expected.split(), "isolation_level"] == parameters(PartitionRecords.__init__)


def test_a_connection_hands_each_answer_to_the_method_that_we_call() -> None:
    assert ["self", "resp"] == parameters(AIOKafkaConnection._handle_frame)
    read = getsource(AIOKafkaConnection._read)
    for said in ('struct.unpack(">i", resp)', "await reader.readexactly(size)", "self._handle_frame(resp)"):
        assert said in read
    handle = getsource(AIOKafkaConnection._handle_frame)
    assert "self._requests[0]" in handle  # there until its answer was handled: none, and none is on its way
    assert "self._requests.popleft()" in handle
    assert "protocol = AIOKafkaProtocol(self._closed_fut, reader, loop=loop)" in getsource(AIOKafkaConnection.connect)
    assert "await self._get_conn(node_id, group=group)" in getsource(AIOKafkaClient.ready)
    assert "await self.ready(node_id, group=group)" in getsource(AIOKafkaClient.send)


def test_partition_records_ask_of_a_batch_what_ours_answers() -> None:
    assert ["self", "tp", "record"] == parameters(PartitionRecords._consumer_record)
    source = getsource(PartitionRecords._unpack_records)
    asked = {"validate_crc", "producer_id", "base_offset", "is_control_batch", "is_transactional", "next_offset"}
    assert asked == set(re.findall(r"next_batch\.(\w+)", source))
    told = {"magic", "compression_type", "timestamp_type", "first_timestamp", "max_timestamp"}  # what records.py asks
    assert asked | told <= set(dir(DefaultRecordBatch))
    assert "control_record = next(next_batch)" in getsource(PartitionRecords._contains_abort_marker)
    assert "self.next_fetch_offset = record.offset + 1" in source
    assert "_records_iterator = None" in getsource(PartitionRecords.__next__)
    assert dataclasses.is_dataclass(ConsumerRecord)


def test_faust_calls_the_methods_that_we_replace() -> None:
    thread = driver.AIOKafkaConsumerThread
    assert ["self", "tp"] == parameters(driver.Consumer._new_offset)
    assert ["self", "tp", "offset_from", "offset_to"] == parameters(driver.Consumer._add_gap)
    assert ["self", "active_partitions", "timeout"] == parameters(driver.Consumer._getmany)
    assert ["self", "message"] == parameters(driver.Consumer.ack)
    assert ["self", "offsets", "start_new_transaction"] == parameters(driver.Consumer._commit_offsets)
    commit = getsource(BaseConsumer._commit_tps)  # nothing is waited for before we take the generation
    assert "commit_offsets = self._filter_committable_offsets(tps)" in commit
    assert "await self._handle_attached(commit_offsets)" in commit
    assert commit.count("await") == 3  # that, the commit, and a crash
    assert ["self", "offsets"] == parameters(thread._commit)
    assert ["self", "transport"] == parameters(thread._create_worker_consumer)
    assert "self.scheduler.iterate(records)" in getsource(driver.Consumer.getmany)
    assert "await self._getmany(" in getsource(BaseConsumer._wait_next_records)
    assert "await self.sleep(1)" in getsource(BaseConsumer._wait_next_records)  # why ours waits for room instead
    assert "offset >= r_offset" in getsource(BaseConsumer._drain_messages)
    assert "self.verify_event_path(now, tp)" in getsource(BaseConsumer.verify_all_partitions_active)
    assert "committed_offset = tp_state.position" in getsource(thread.verify_event_path)  # fails where there is none
    assert "self._fetch_records," in getsource(thread.getmany)
    assert "self._create_consumer(" in getsource(thread.on_start)
    assert "await self._consumer.stop()" in getsource(thread.on_thread_stop)
    assert "_isolation_level" in getsource(AIOKafkaConsumer.start)
    assert "_fetch_max_wait_ms" in getsource(AIOKafkaConsumer.start)


def test_the_coordinator_asks_the_group_by_the_method_that_we_watch() -> None:
    assert ["self"] == parameters(GroupCoordinator._do_heartbeat)
    routine = getsource(GroupCoordinator._heartbeat_routine)
    assert "success = await self._do_heartbeat()" in routine  # looked up on the instance, True = the group knew us
    source = getsource(GroupCoordinator._do_heartbeat)
    unknown = source[source.index("error_type is Errors.UnknownMemberIdError") :]
    assert "self.reset_generation()" in unknown
    assert "self.generation = OffsetCommitRequest.DEFAULT_GENERATION_ID" in getsource(GroupCoordinator.reset_generation)
    assert "session_timeout_ms=int(session_timeout * 1000.0)" in getsource(driver.AIOKafkaConsumerThread)


@pytest.mark.parametrize(("known", "generation", "told"), [(True, 3, [True]), (False, 3, []), (False, -1, [None])])
async def test_each_heartbeat_tells_whether_the_group_knows_us(known: bool, generation: int, told: list[Any]) -> None:
    async def beat() -> bool:
        return known

    heard: list[float | None] = []
    coordinator = Mock(_do_heartbeat=beat, generation=generation)
    watch_membership(coordinator, heard.append)
    before = time.monotonic()
    assert known == await coordinator._do_heartbeat()
    assert told == [None if at is None else before <= at <= time.monotonic() for at in heard]


def test_the_coordinator_sends_each_commit_by_the_method_that_we_bind() -> None:
    assert ["self", "assignment", "offsets"] == parameters(GroupCoordinator._do_commit_offsets)
    retries = getsource(GroupCoordinator.commit_offsets)
    assert "asyncio.shield(self._do_commit_offsets(assignment, offsets))" in retries  # a task, so of our context
    assert "Errors.IllegalGenerationError" in retries
    assert "self.generation," in getsource(GroupCoordinator._do_commit_offsets)  # the latest, at each attempt
    assert '"already rebalanced" in str(exc)' in getsource(driver.AIOKafkaConsumerThread._commit)


def test_a_fetch_leaves_the_end_of_what_may_be_read_and_its_time_in_the_state() -> None:
    source = getsource(Fetcher._proc_fetch_request)
    for said in ("tp_state.highwater = highwater", "tp_state.lso = lso", "tp_state.timestamp = now_ms"):
        assert said in source


def test_a_crashed_thread_closes_the_loop_by_which_it_would_be_stopped() -> None:
    assert "self.thread_loop.close()" in getsource(ServiceThread._start_thread)
    assert "self.thread_loop.call_soon_threadsafe(self._stopped.set)" in getsource(ServiceThread._stopped_set)
    assert "print(" in getsource(ServiceThread.on_crash)


def test_a_commit_under_way_stands_for_the_last_one() -> None:
    source = getsource(BaseConsumer.commit)
    assert "if await self.maybe_wait_for_commit_to_finish():" in source


def test_streams_acknowledge_what_they_skip_before_they_track_it() -> None:
    source = getsource(faust.Stream._py_aiter)
    assert source.index("message.generation_id != self.app.consumer_generation_id") < source.index(
        "message.tracked = True"
    )
    assert "(do_ack or value is skipped_value)" in source


def test_a_service_stops_its_thread_only_when_the_thread_says_so() -> None:
    assert 60.0 == Service.shutdown_timeout  # what a shutdown costs when on_thread_stop dies


async def test_a_gap_still_contains_the_message_itself(stock_consumer: Any) -> None:
    consumer, tp = stock_consumer, TP("t", 0)
    consumer._committed_offset[tp], consumer._acked[tp] = 10, []
    await consumer._add_gap(tp, 11, 12)  # message 10, a hole at 11, message 12
    assert [(11, 13)] == [(gap.begin, gap.end) for gap in consumer._gap[tp]]  # half-open: 12 is inside


async def test_only_the_fetcher_that_is_told_delivers_batches() -> None:
    ours, other = Mock(), Mock()
    for fetcher in (ours, other):
        fetcher._client.send = answer
        fetcher._client._get_conn = AsyncMock(return_value=None)
        fetcher._proc_fetch_request = partial(fetched, fetcher)
        fetcher._records = {
            TP(topic, 0): FetchResult(
                TP(topic, 0), assignment=None, backoff=0, partition_records=lazy_records(TP(topic, 0))
            )
            for topic in ("batched", "single")
        }
    deliver_batches(ours, topics={"batched"})
    for fetcher in (ours, other):
        assert await fetcher._proc_fetch_request(None, 0, Mock(spec=FetchRequest))
    kinds = {tp.topic: type(result._partition_records) for tp, result in ours._records.items()}
    assert {"batched": BatchRecords, "single": PartitionRecords} == kinds
    assert {PartitionRecords} == {type(result._partition_records) for result in other._records.values()}


async def test_a_cancelled_fetch_ends_quietly() -> None:
    async def cancelled(assignment: Any, node_id: int, request: Any) -> bool:
        raise asyncio.CancelledError

    fetcher = Mock(_proc_fetch_request=cancelled, _records={})
    deliver_batches(fetcher, topics=set())
    assert not await fetcher._proc_fetch_request(None, 0, None)


@pytest.mark.parametrize(("tracked", "generation", "accepted"), [(True, 5, True), (False, 5, False), (True, 4, False)])
async def test_only_what_an_agent_saw_in_this_assignment_is_acknowledged(
    batch_consumer: Any, *, tracked: bool, generation: int, accepted: bool
) -> None:
    consumer = batch_consumer
    assert isinstance(consumer, BatchConsumer)
    consumer.app.consumer_generation_id = consumer._generation_sought = 5
    consumer._assignment = object()
    consumer.app.topics._acking_topics.add("t")
    message = consumer._to_message(TP("t", 0), Mock(topic="t", partition=0, offset=9, timestamp=0))
    message.tracked, message.generation_id = tracked, generation
    assert accepted == consumer.ack(message)
    assert (10 if accepted else None) == consumer._new_offset(TP("t", 0))


async def test_acknowledged_batches_commit_past_the_last_and_never_backwards(batch_consumer: Any) -> None:
    consumer, tp = batch_consumer, TP("t", 0)
    consumer._committed_offset[tp] = 100
    consumer._acked[tp] = [49, 99, 149]
    assert {tp: 150} == consumer._filter_committable_offsets([tp])
    consumer._acked[tp] = [49, 99]
    assert {} == consumer._filter_committable_offsets([tp])


async def answer(node_id: int, request: Any) -> Any:
    return Mock(topics=[(topic, [(0, 0, 9, b"bytes")]) for topic in ("batched", "single")])


async def fetched(fetcher: Any, assignment: Any, node_id: int, request: Any) -> bool:
    response = await fetcher._client.send(node_id, request)
    return bool(response.topics)


def lazy_records(tp: Any) -> PartitionRecords:
    return PartitionRecords(tp, Mock(), None, 0, None, None, True, 0)


@pytest.fixture
def stock_consumer() -> Iterator[Any]:
    yield from consumer_of(faust.App("contract", broker="kafka://unused", web_enabled=False))


@pytest.fixture
def batch_consumer() -> Iterator[Any]:
    app = faust.App("contract", broker="moderation://unused", web_enabled=False)
    app.transport.batching = Batching(topics=frozenset({"t"}))
    yield from consumer_of(app)


def consumer_of(app: faust.App) -> Iterator[Any]:
    app.consumer = app.transport.Consumer(app.transport, **callbacks())
    yield app.consumer
    app.consumer._thread.thread_loop.close()


def callbacks() -> dict[str, Any]:
    return {"callback": Mock(), "on_partitions_revoked": Mock(), "on_partitions_assigned": Mock()}


def test_a_producer_has_one_setting_for_a_request_and_for_a_batch_which_the_outlet_sets_apart() -> None:
    assert "self._request_timeout_ms / 1000," in getsource(AIOKafkaProducer.send)  # waiting for room in a batch
    assert "request_timeout_ms" in parameters(Sender.__init__)  # requests keep what they were told
    assert "MessageBatch(tp, builder, self._batch_ttl," in getsource(MessageAccumulator)
    assert "batch.expired()" in getsource(SendProduceReqHandler._can_retry)
