# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Puts the numbers of an exposition behind the beginnings of their lines: one copy of each byte, no object a line."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t
from libc.string cimport memcpy


def fill(list families, bytes end):
    cdef bytes whole, head, text, numbers
    cdef list blocks
    cdef Py_ssize_t size = len(end)
    for head, blocks, numbers in families:
        size += len(head) + room(blocks, numbers) + 1
    whole = PyBytes_FromStringAndSize(NULL, size)
    cdef char* to = PyBytes_AS_STRING(whole)
    for head, blocks, numbers in families:
        to = copied(to, head)
        to = lines(to, blocks, numbers)
        to[0] = c"\n"
        to += 1
    copied(to, end)
    return whole


cdef Py_ssize_t room(list blocks, bytes numbers) except -1:
    """Bytes of the lines; ValueError unless there is one number for each of them."""
    cdef Py_ssize_t size = len(numbers) - 2  # without the brackets
    cdef Py_ssize_t count = 0
    cdef Py_ssize_t index
    cdef const int64_t[::1] ends, rows
    cdef int64_t row
    cdef bytes text
    for text, ends, chosen in blocks:
        if ends.shape[0] and not ends[ends.shape[0] - 1] == len(text):
            raise ValueError("the beginnings do not end with their text")
        if chosen is None:
            size += len(text)
            count += ends.shape[0]
            continue
        rows = chosen
        for index in range(rows.shape[0]):
            row = rows[index]
            if not 0 <= row < ends.shape[0]:
                raise ValueError(f"row {row} of {ends.shape[0]} lines")
            size += ends[row] - (ends[row - 1] if row else 0)
        count += rows.shape[0]
    if numbers.count(b",") + 1 != count:
        raise ValueError(f"{numbers.count(b',') + 1} numbers for {count} lines")
    return size - (count - 1)  # without the commas


cdef char* lines(char* to, list blocks, bytes numbers):
    cdef const char* number = PyBytes_AS_STRING(numbers) + 1
    cdef const int64_t[::1] ends, rows
    cdef const char* start
    cdef Py_ssize_t index, count
    cdef int64_t row, begin
    cdef bytes text
    for text, ends, chosen in blocks:
        start = PyBytes_AS_STRING(text)
        rows = chosen
        count = ends.shape[0] if chosen is None else rows.shape[0]
        for index in range(count):
            row = index if chosen is None else rows[index]
            begin = ends[row - 1] if row else 0
            memcpy(to, start + begin, ends[row] - begin)
            to += ends[row] - begin
            while number[0] != c"," and number[0] != c"]":
                to[0] = number[0]
                to += 1
                number += 1
            number += 1
    return to


cdef char* copied(char* to, bytes text):
    memcpy(to, PyBytes_AS_STRING(text), len(text))
    return to + len(text)
