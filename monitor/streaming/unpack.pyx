# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Where the records of one batch of Kafka's log lie, and their numbers: one pass, no object a record.

Format: the records of a batch of version 2 (Kafka's documentation, "Record Batch" and "Record"), decompressed.
"""

from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t

ctypedef const unsigned char* Place

TRUNCATED = "a record of the batch reaches beyond its end"


def unpack(
    bytes data, Py_ssize_t begin, Py_ssize_t end, int64_t base_offset, int64_t base_timestamp, int64_t first_offset,
    int64_t[:, ::1] rows
):
    cdef Place start = data
    cdef Place at = start + begin
    cdef Place last = start + end
    cdef Place following
    cdef Py_ssize_t kept = 0
    cdef int64_t timestamp, offset, size, number
    cdef dict headers = {}
    if not 0 <= begin <= end <= len(data):
        raise ValueError(TRUNCATED)
    for number in range(rows.shape[1]):
        at = varint(at, last, &size)
        following = taken(at, last, size)
        if size < 1:
            raise ValueError(TRUNCATED)
        at = varint(at + 1, following, &timestamp)
        at = varint(at, following, &offset)
        offset += base_offset
        rows[0, kept] = offset
        rows[1, kept] = base_timestamp + timestamp
        at = piece(at, following, start, &rows[2, kept], &rows[3, kept])
        at = piece(at, following, start, &rows[4, kept], &rows[5, kept])
        varint(at, following, &size)
        if offset >= first_offset:
            if size:
                headers[kept] = headers_of(data, at, following)
            kept += 1
        at = following
    return kept, headers


cdef class Room:
    """The memory of bytes, to be written into; it keeps them."""

    cdef bytes whole

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, PyBytes_AS_STRING(self.whole), len(self.whole), 0, flags)


def unwritten(Py_ssize_t size):
    cdef Room room = Room()
    room.whole = PyBytes_FromStringAndSize(NULL, size)
    return room.whole, memoryview(room)


cdef inline Place taken(Place at, Place end, int64_t size) except NULL:
    """The place so many bytes on."""
    if size < 0 or size > end - at:
        raise ValueError(TRUNCATED)
    return at + size


cdef inline Place varint(Place at, Place end, int64_t* number) except NULL:
    """A zigzag-coded number; the place behind it."""
    cdef uint64_t coded = 0
    cdef int shift = 0
    cdef unsigned char one
    while True:
        if at >= end or shift > 63:
            raise ValueError(TRUNCATED)
        one = at[0]
        at += 1
        coded |= <uint64_t>(one & 0x7F) << shift
        shift += 7
        if one < 0x80:
            number[0] = <int64_t>(coded >> 1) ^ -<int64_t>(coded & 1)
            return at


cdef inline Place piece(Place at, Place end, Place start, int64_t* begin, int64_t* stop) except NULL:
    """A key or a value with its length before it; `stop` is -1 where there is none."""
    cdef int64_t size
    at = varint(at, end, &size)
    begin[0] = at - start
    if size == -1:
        stop[0] = -1
        return at
    at = taken(at, end, size)
    stop[0] = at - start
    return at


cdef list headers_of(bytes data, Place at, Place end):
    """Names and values of a record's headers, which begin with their number."""
    cdef Place start = data
    cdef int64_t count, number, begin, stop
    found = []
    at = varint(at, end, &count)
    for number in range(count):
        at = piece(at, end, start, &begin, &stop)
        if stop < 0:
            raise ValueError("a header of the batch has no name")
        name = data[begin:stop].decode("utf-8", "backslashreplace")  # producers may write any bytes
        at = piece(at, end, start, &begin, &stop)
        found.append((name, None if stop < 0 else data[begin:stop]))
    return found
