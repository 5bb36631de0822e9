# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Sums of decisions by series and minute in one pass over their rows, instead of one pass for every column and kind.

A row counts in one cell for each kind of segment: its bins are found once, and added to each of them.
"""

from libc.math cimport isnan, rint
from libc.stdint cimport int64_t

from monitor.layout import LATENCY_UNIT, LIMB_BITS, SCORE_UNIT
from monitor.summarise import MINUTE_MS

cdef double SCORE = SCORE_UNIT
cdef double LATENCY = LATENCY_UNIT
cdef int LIMB = LIMB_BITS
cdef int64_t LOW_LIMB = 2**LIMB_BITS - 1
cdef int64_t MINUTE = MINUTE_MS


def mark(const int64_t[::1] key, const int64_t[:, ::1] series_of, unsigned char[::1] met):
    cdef Py_ssize_t row, kind
    for row in range(key.shape[0]):
        for kind in range(series_of.shape[1]):
            met[series_of[key[row], kind]] = 1


def add(
    rows, const int64_t[:, ::1] series_of, const int64_t[::1] place, layout, int64_t first_minute, int64_t minutes,
    int64_t[:, ::1] sums
):
    cdef const int64_t[::1] key = rows.key
    cdef const int64_t[::1] occurred_ms = rows.occurred_ms
    cdef const int64_t[::1] column = rows.column
    cdef const double[::1] score = rows.score
    cdef const double[::1] latency = rows.latency
    cdef const double[::1] score_edges = layout.score_edges
    cdef const double[::1] latency_edges = layout.latency_edges
    cdef Py_ssize_t actions = layout.actions.start, scores = layout.score.start, latencies = layout.latency.start
    cdef Py_ssize_t score_high = layout.score_sum.start, score_low = layout.score_sum.start + 1
    cdef Py_ssize_t latency_sum = layout.latency_sum.start
    cdef Py_ssize_t row, kind, score_bin, latency_bin = 0
    cdef int64_t minute, high, low, spent = 0
    cdef bint told
    cdef int64_t* cell
    for row in range(key.shape[0]):
        minute = (occurred_ms[row] - first_minute * MINUTE) // MINUTE  # not negative
        low = <int64_t>rint(score[row] / SCORE)
        high = low >> LIMB
        low &= LOW_LIMB
        score_bin = left_of(score_edges, score[row], <Py_ssize_t>(score[row] * score_edges.shape[0]))
        told = not isnan(latency[row])
        if told:
            latency_bin = left_of(latency_edges, latency[row], 0)
            spent = <int64_t>rint(latency[row] / LATENCY)
        for kind in range(series_of.shape[1]):
            cell = &sums[place[series_of[key[row], kind]] * minutes + minute, 0]
            cell[actions + column[row]] += 1
            cell[scores + score_bin] += 1
            cell[score_high] += high
            cell[score_low] += low
            if told:
                cell[latencies + latency_bin] += 1
                cell[latency_sum] += spent


cdef inline Py_ssize_t left_of(const double[::1] edges, double value, Py_ssize_t near) noexcept:
    """How many edges are below a value, looked for from near that number on."""
    while near > 0 and edges[near - 1] >= value:
        near -= 1
    while near < edges.shape[0] and edges[near] < value:
        near += 1
    return near
