# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The columns of decisions straight from their JSON: one pass over the bytes, hardly an object.

The scanner takes what it is sure of and nothing else. Whatever is unusual (an escape, a letter beyond ASCII, a field
twice, a value out of its range, an enumeration value that is not known, names that have not been met together) makes it
unsure. Then `monitor.decode` decodes the record, and it alone says what is an event and what is refused: what the
scanner takes, it would take with the same values (tests/core/test_read_decisions.py).

The values lie in one buffer. CPython puts a NUL behind it, and nothing that is taken holds one: a loop that goes byte
by byte need not look for the end. Where a value is malformed a step may run on into the next, but then it does not
arrive at its own end, and is not taken. A step takes a place and gives the one behind what it took, NULL when it is
unsure.

Two things make it fast: strings are looked through eight bytes at a time, and a producer writes its fields in one
order, so that a field is expected where it was in the last decision.
"""

import sys

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.conversion cimport PyOS_string_to_double
from libc.math cimport NAN, isnan, rint
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from xxhash import xxh3_64_intdigest

from monitor cimport xxh3
from monitor.name_codes cimport NameCodes

from monitor.decode import MAX_EVENT_BYTES
from monitor.events import (
    MAX_ID_LENGTH, MAX_LATENCY_SECONDS, MAX_NAME_LENGTH, MIN_INCLUSION_PROBABILITY, SCHEMA_VERSION, Action
)
from monitor.rows import ACTION_COLUMN
from monitor.topics import DECISIONS

cdef extern from *:
    """
    #define ONES 0x0101010101010101ULL
    #define HIGH 0x8080808080808080ULL
    #define FIRST(high) (__builtin_ctzll(high) >> 3)
    """
    const uint64_t ONES  # a one in each byte
    const uint64_t HIGH  # the high bit of each byte
    int first "FIRST"(uint64_t high) noexcept  # the first byte of which the high bit is set, of one at least

UNSURE = -3
NO_NAME = 255
cdef int64_t DOUBT = UNSURE  # the same two as numbers of C
cdef unsigned char NONE = NO_NAME

ctypedef const unsigned char* Place

cdef struct Text:
    Place begin  # NULL: not told
    Py_ssize_t size

cdef enum Field:  # the names first, in the order of `monitor.rows.decision_key`
    MODEL, MODEL_VERSION, VARIANT, POLICY, LANGUAGE, REGION, SURFACE, MODALITY
    ID, OCCURRED_AT, ACTION, SCORE, SAMPLED, PROBABILITY, LATENCY, SCHEMA, TYPE, FEATURES
    POLICY_VERSION, DESIGN  # may be anything: nothing is counted of them
    OTHER

cdef enum:
    NAMES = MODALITY + 1
    DEPTH = 8  # of what is skipped
    EXPECTED = 32  # fields of which is known where they are expected
    MAX_NAME = 64
    MAX_ACTIONS = 16

cdef struct Member:  # a name from its first quote to its colon
    Place begin
    Py_ssize_t size
    Field field

cdef struct Order:  # of the fields in the last decisions
    Member[EXPECTED] members
    int count

cdef struct Decision:  # what is counted of `monitor.events.CountedDecision`
    uint32_t met  # a bit for each field
    Text[NAMES] names
    Text id
    Text action
    Text features
    Text[2] noted  # policy version and design, as JSON
    int64_t occurred_us
    double score
    double latency
    double probability
    int sampled  # negative: not told

cdef uint32_t REQUIRED = (
    1 << MODEL | 1 << MODEL_VERSION | 1 << POLICY | 1 << ID | 1 << OCCURRED_AT | 1 << ACTION | 1 << SCORE
)
cdef uint32_t NULLABLE = (
    1 << LANGUAGE | 1 << REGION | 1 << SURFACE | 1 << MODALITY
    | 1 << SAMPLED | 1 << PROBABILITY | 1 << LATENCY | 1 << TYPE | 1 << FEATURES
)
cdef Py_ssize_t MAX_ID = MAX_ID_LENGTH
cdef Py_ssize_t MAX_EVENT = MAX_EVENT_BYTES
cdef double LEAST_PROBABILITY = MIN_INCLUSION_PROBABILITY
cdef double MAX_LATENCY = MAX_LATENCY_SECONDS
cdef bytes VERSION_TEXT = SCHEMA_VERSION.encode()
cdef bytes TYPE_TEXT = DECISIONS.name.encode()
cdef dict ACTIONS = {
    action.value.encode(): column for action, column in ACTION_COLUMN.items() if action != Action.OTHER
}

cdef struct Named:
    Text name
    int64_t column

cdef Named[MAX_ACTIONS] COLUMNS
if len(ACTIONS) > MAX_ACTIONS:
    raise ImportError(f"monitor.scan: expected {MAX_ACTIONS} actions at most, got {len(ACTIONS)}")
for _place, (_name, _column) in enumerate(ACTIONS.items()):
    COLUMNS[_place].name.begin = <Place>PyBytes_AS_STRING(_name)  # which the dictionary keeps
    COLUMNS[_place].name.size = PyBytes_GET_SIZE(_name)
    COLUMNS[_place].column = _column
cdef int KNOWN_ACTIONS = len(ACTIONS)

if MAX_NAME != MAX_NAME_LENGTH:
    raise ImportError(f"monitor.scan: names have {MAX_NAME} bytes at most, those of monitor.events {MAX_NAME_LENGTH}")

if sys.byteorder != "little":
    raise ImportError(f"monitor.scan: expected a little-endian machine, got {sys.byteorder}-endian")

cdef double[23] POWERS  # of ten, all exact
for _power in range(23):
    POWERS[_power] = 10.0**_power


def scan(
    bytes values, int64_t[::1] begins, int64_t[::1] ends, NameCodes codes not None, int64_t[::1] key,
    int64_t[::1] occurred_ms, uint64_t[::1] id_hash, int64_t[::1] column, double[::1] score, double[::1] latency,
    unsigned char[::1] sampled, list features
):
    cdef Py_ssize_t row, size
    cdef int64_t action, code
    cdef Decision found
    cdef Order order
    cdef unsigned char[NAMES * (1 + MAX_NAME)] text
    cdef dict unmet = {}
    order.count = 0
    for row in range(begins.shape[0]):
        key[row] = DOUBT
        if not read(values, begins[row], ends[row], &found, &order):
            continue
        action = column_of(found.action)
        if action < 0:
            continue
        size = joined(found.names, NAMES, text)
        code = codes.find(text, size)
        if code < 0:
            unmet[row] = PyBytes_FromStringAndSize(<char*>text, size)
        else:
            key[row] = code
        column[row] = action
        occurred_ms[row] = <int64_t>rint(<double>found.occurred_us / 1e6 * 1e3)  # rounded as `monitor.rows` does
        score[row] = found.score
        latency[row] = found.latency
        sampled[row] = not isnan(found.probability) if found.sampled < 0 else found.sampled
        id_hash[row] = hashed(found.id)
        if features is not None and found.features.begin != NULL:
            features[row] = taken(found.features)
    return unmet


cdef inline uint64_t hashed(Text text) except? 0:
    """What `monitor.rows.hash_ids` makes of it."""
    if xxh3.SHORTEST <= text.size <= xxh3.LONGEST:
        return xxh3.digest(text.begin, text.size)
    return xxh3_64_intdigest(taken(text))


cdef bint read(bytes values, int64_t begin, int64_t end, Decision* found, Order* order) except -1:
    """Whether there is a decision between two places among the values, and which."""
    cdef Place start = <Place>PyBytes_AS_STRING(values)
    if not (0 <= begin < end <= PyBytes_GET_SIZE(values) and end - begin <= MAX_EVENT):
        return False
    return decision(start + begin, start + end, found, order)


def contexts(
    bytes values, int64_t[::1] begins, int64_t[::1] ends, int64_t[::1] occurred_us, double[::1] score,
    double[::1] inclusion, list ids, list names
):
    cdef Py_ssize_t row, size
    cdef Decision found
    cdef Order order
    cdef Text[2] noted
    cdef unsigned char[(NAMES + 3) * (1 + MAX_NAME)] text
    order.count = 0
    for row in range(begins.shape[0]):
        if not read(values, begins[row], ends[row], &found, &order):
            continue
        if not (1 <= found.action.size <= MAX_NAME):  # one that is not known here may be any text
            continue
        if not (name_of(found.noted[0], noted) and name_of(found.noted[1], noted + 1)):
            continue
        size = joined(found.names, NAMES, text)
        size += joined(&found.action, 1, text + size)
        size += joined(noted, 2, text + size)
        ids[row] = taken(found.id)
        names[row] = PyBytes_FromStringAndSize(<char*>text, size)
        occurred_us[row] = found.occurred_us
        score[row] = found.score
        inclusion[row] = found.probability


cdef bint name_of(Text told, Text* name) noexcept:
    """Whether some JSON is a name or none, and which."""
    name[0] = told
    if told.begin == NULL:
        return True
    if told.begin[0] == c'"':
        name.begin += 1
        name.size -= 2
        return 1 <= name.size <= MAX_NAME
    name.begin = NULL
    return told.begin[0] == c"n"


cdef bytes taken(Text text):
    return PyBytes_FromStringAndSize(<const char*>text.begin, text.size)


cdef Py_ssize_t joined(const Text* names, int count, unsigned char* text) noexcept:
    """Write the names behind each other, each after its length; the size of it all."""
    cdef unsigned char* at = text
    cdef int number
    for number in range(count):
        if names[number].begin == NULL:
            at[0] = NONE
            at += 1
        else:
            at[0] = <unsigned char>names[number].size
            memcpy(at + 1, names[number].begin, names[number].size)
            at += 1 + names[number].size
    return at - text


cdef int64_t column_of(Text action) noexcept:
    """The column of an action; negative when it is not known."""
    cdef int place
    for place in range(KNOWN_ACTIONS):
        if action.size == COLUMNS[place].name.size and named(action, <const char*>COLUMNS[place].name.begin):
            return COLUMNS[place].column
    return -1


cdef bint decision(Place at, Place end, Decision* found, Order* order) except -1:
    """Whether the bytes from a place to the end are a decision, and which; `order` holds what the last one had."""
    cdef Field field
    cdef int place
    found.met = 0
    found.sampled = -1
    found.probability = found.latency = NAN
    found.features.begin = found.noted[0].begin = found.noted[1].begin = NULL
    for place in range(NAMES):
        found.names[place].begin = NULL
    at = spaces(at)
    if at[0] != c"{":
        return False
    at = spaces(at + 1)
    place = 0
    while True:
        at = named_value(at, end, place, order, &field)
        place += 1
        if at == NULL:
            return False
        if field == OTHER:
            at = skipped(at, end, DEPTH)
        else:
            if found.met >> field & 1:
                return False
            found.met |= 1 << field
            at = member(at, end, field, found)
        if at == NULL:
            return False
        at = spaces(at)
        if at[0] == c",":
            at = spaces(at + 1)
        elif at[0] == c"}":
            return found.met & REQUIRED == REQUIRED and spaces(at + 1) == end
        else:
            return False


cdef inline Place named_value(Place at, Place end, int place, Order* order, Field* field) noexcept:
    """A name and its colon: as in the last decision, or as it says."""
    cdef Member* expected
    cdef Text name
    cdef Place begin = at
    if place < order.count:
        expected = &order.members[place]
        if expected.size < end - at and memcmp(at, expected.begin, expected.size) == 0:
            field[0] = expected.field
            return spaces(at + expected.size)
    at = name_and_colon(at, end, &name)
    if at == NULL:
        return NULL
    field[0] = field_of(name)
    if place < EXPECTED:
        expected = &order.members[place]
        expected.begin, expected.size, expected.field = begin, at - begin, field[0]
        order.count = max(order.count, place + 1)
    return spaces(at)


cdef inline Place name_and_colon(Place at, Place end, Text* name) noexcept:
    at = string(at, end, name)
    if at == NULL:
        return NULL
    at = spaces(at)
    return at + 1 if at[0] == c":" else NULL


cdef Place member(Place at, Place end, Field field, Decision* found) except? NULL:
    """The value of a field that is counted."""
    cdef Text text
    cdef Text* name
    if at[0] == c"n" and NULLABLE >> field & 1:
        return literal(at, b"null", 4)
    if field < NAMES:
        name = &found.names[<int>field]
        at = string(at, end, name)
        return at if at != NULL and 1 <= name.size <= MAX_NAME else NULL
    if field == ID:
        at = string(at, end, &found.id)
        return at if at != NULL and 1 <= found.id.size <= MAX_ID else NULL
    if field == OCCURRED_AT:
        at = string(at, end, &text)
        return at if at != NULL and instant(text, &found.occurred_us) else NULL
    if field == ACTION:
        return string(at, end, &found.action)
    if field == SCORE:
        return number(at, &found.score, 0.0, 1.0)
    if field == SAMPLED:
        found.sampled = at[0] == c"t"
        return literal(at, b"true", 4) if found.sampled else literal(at, b"false", 5)
    if field == PROBABILITY:
        return number(at, &found.probability, LEAST_PROBABILITY, 1.0)
    if field == LATENCY:
        return number(at, &found.latency, 0.0, MAX_LATENCY)
    if field == SCHEMA:
        return exactly(at, end, VERSION_TEXT)
    if field == TYPE:
        return exactly(at, end, TYPE_TEXT)
    text.begin = at
    at = skipped(at, end, DEPTH)
    text.size = at - text.begin
    if field == FEATURES:
        found.features = text
    else:
        found.noted[<int>field - POLICY_VERSION] = text
    return at


cdef Place exactly(Place at, Place end, bytes told) noexcept:
    """This string and no other."""
    cdef Text text
    at = string(at, end, &text)
    if at == NULL or text.size != PyBytes_GET_SIZE(told):
        return NULL
    return at if memcmp(text.begin, PyBytes_AS_STRING(told), text.size) == 0 else NULL


cdef inline bint named(Text name, const char* told) noexcept:
    return memcmp(name.begin, told, name.size) == 0


cdef Field field_of(Text name) noexcept:
    """The field of a name; its length leaves three at the most."""
    if name.size == 4:
        if named(name, b"type"): return TYPE
    elif name.size == 5:
        if named(name, b"model"): return MODEL
        if named(name, b"score"): return SCORE
    elif name.size == 6:
        if named(name, b"policy"): return POLICY
        if named(name, b"region"): return REGION
        if named(name, b"action"): return ACTION
    elif name.size == 7:
        if named(name, b"surface"): return SURFACE
        if named(name, b"variant"): return VARIANT
        if named(name, b"sampled"): return SAMPLED
    elif name.size == 8:
        if named(name, b"modality"): return MODALITY
        if named(name, b"language"): return LANGUAGE
        if named(name, b"features"): return FEATURES
    elif name.size == 9:
        if named(name, b"design_id"): return DESIGN
    elif name.size == 11:
        if named(name, b"decision_id"): return ID
        if named(name, b"occurred_at"): return OCCURRED_AT
    elif name.size == 13:
        if named(name, b"model_version"): return MODEL_VERSION
    elif name.size == 14:
        if named(name, b"schema_version"): return SCHEMA
        if named(name, b"policy_version"): return POLICY_VERSION
    elif name.size == 15:
        if named(name, b"latency_seconds"): return LATENCY
    elif name.size == 21:
        if named(name, b"inclusion_probability"): return PROBABILITY
    return OTHER


cdef inline Place spaces(Place at) noexcept:
    while at[0] == c" " or at[0] == c"\n" or at[0] == c"\r" or at[0] == c"\t":
        at += 1
    return at


cdef inline Place literal(Place at, const char* told, Py_ssize_t size) noexcept:
    cdef Py_ssize_t place
    for place in range(size):
        if at[place] != told[place]:
            return NULL
    return at + size


cdef inline Place string(Place at, Place end, Text* text) noexcept:
    """A string of plain ASCII, and what is between its quotes."""
    cdef uint64_t word, ends
    if at[0] != c'"':
        return NULL
    at += 1
    text.begin = at
    while end - at >= 8:
        memcpy(&word, at, 8)
        ends = word & HIGH | below(word, 0x20) | below(word ^ ONES * c'"', 1) | below(word ^ ONES * c"\\", 1)
        if ends != 0:
            at += first(ends)
            break
        at += 8
    while at[0] != c'"':
        if at[0] < 0x20 or at[0] >= 0x80 or at[0] == c"\\":
            return NULL
        at += 1
    text.size = at - text.begin
    return at + 1


cdef inline uint64_t below(uint64_t word, unsigned char bound) noexcept:
    """High bits of the bytes below a bound of at most 128; above the first of them also of others."""
    return (word - ONES * bound) & ~word & HIGH


cdef inline bint digit(unsigned char one) noexcept:
    return c"0" <= one <= c"9"


cdef Place number(Place at, double* told, double least, double most) except? NULL:
    """A number within bounds, not negative, rounded correctly."""
    cdef Place begin = at, end
    cdef char* stop
    cdef uint64_t mantissa = 0
    cdef int digits = 0, power = 0
    if not digit(at[0]):
        return NULL
    while digit(at[0]):
        mantissa = 10 * mantissa + (at[0] - c"0")
        digits += 1
        at += 1
    if digits > 1 and begin[0] == c"0":
        return NULL
    if at[0] == c".":
        at += 1
        if not digit(at[0]):
            return NULL
        while digit(at[0]):
            mantissa = 10 * mantissa + (at[0] - c"0")
            digits += mantissa != 0
            power += 1
            at += 1
    if at[0] != c"e" and at[0] != c"E" and digits <= 15 and power <= 22:  # both exact as doubles: dividing rounds once
        told[0] = mantissa / POWERS[power]
        end = at
    else:
        end = grammatical(begin)
        if end == NULL:
            return NULL
        told[0] = PyOS_string_to_double(<const char*>begin, &stop, NULL)
    return end if least <= told[0] <= most else NULL


cdef Place grammatical(Place at) noexcept:
    """A number."""
    if at[0] == c"-":
        at += 1
    if at[0] == c"0":
        at += 1
    else:
        at = digits_of(at)
    if at != NULL and at[0] == c".":
        at = digits_of(at + 1)
    if at != NULL and (at[0] == c"e" or at[0] == c"E"):
        at += 1
        if at[0] == c"-" or at[0] == c"+":
            at += 1
        at = digits_of(at)
    return at


cdef inline Place digits_of(Place at) noexcept:
    """One digit or more."""
    if not digit(at[0]):
        return NULL
    while digit(at[0]):
        at += 1
    return at


cdef Place skipped(Place at, Place end, int depth) noexcept:
    """Any value."""
    cdef Text text
    cdef unsigned char close
    if at[0] == c'"':
        return string(at, end, &text)
    if at[0] == c"t":
        return literal(at, b"true", 4)
    if at[0] == c"f":
        return literal(at, b"false", 5)
    if at[0] == c"n":
        return literal(at, b"null", 4)
    if at[0] != c"{" and at[0] != c"[":
        return grammatical(at)
    if depth == 0:
        return NULL
    close = at[0] + 2  # } or ]
    at = spaces(at + 1)
    if at[0] == close:
        return at + 1
    while True:
        if close == c"}":
            at = name_and_colon(at, end, &text)
            if at == NULL:
                return NULL
            at = spaces(at)
        at = skipped(at, end, depth - 1)
        if at == NULL:
            return NULL
        at = spaces(at)
        if at[0] == close:
            return at + 1
        if at[0] != c",":
            return NULL
        at = spaces(at + 1)


cdef inline int pair(Place at) noexcept:
    """Two digits, or a number beyond any."""
    if digit(at[0]) and digit(at[1]):
        return 10 * (at[0] - c"0") + (at[1] - c"0")
    return 10000


cdef bint instant(Text text, int64_t* microseconds) noexcept:
    """`2026-11-26T08:15:30.125Z` or with an offset such as `+02:00`; up to six decimals, years from 1970."""
    cdef Place at = text.begin
    cdef int year, month, day, hour, minute, second, offset = 0, hours, minutes
    cdef int64_t fraction = 0, unit = 100000, days
    if text.size < 20 or at[4] != c"-" or at[7] != c"-" or at[10] != c"T" or at[13] != c":" or at[16] != c":":
        return False
    year = 100 * pair(at) + pair(at + 2)
    month = pair(at + 5)
    day = pair(at + 8)
    hour = pair(at + 11)
    minute = pair(at + 14)
    second = pair(at + 17)
    if not (1970 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= month_days(year, month)):
        return False
    if hour > 23 or minute > 59 or second > 59:
        return False
    at += 19
    if at[0] == c".":
        at += 1
        if not digit(at[0]):
            return False
        while digit(at[0]):
            if unit == 0:
                return False
            fraction += unit * (at[0] - c"0")
            unit //= 10
            at += 1
    if at[0] == c"Z":
        at += 1
    elif at[0] == c"+" or at[0] == c"-":
        if not digit(at[1]) or not digit(at[2]) or at[3] != c":":
            return False
        hours = pair(at + 1)
        minutes = pair(at + 4)
        if hours > 23 or minutes > 59:
            return False
        offset = 60 * hours + minutes
        if at[0] == c"-":
            offset = -offset
        at += 6
    else:
        return False
    if at != text.begin + text.size:
        return False
    days = days_since_epoch(year, month, day)
    microseconds[0] = (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000000 + fraction
    return True


cdef int month_days(int year, int month) noexcept:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef int64_t days_since_epoch(int year, int month, int day) noexcept:
    """Days from 1970-01-01, years counted from March so that the leap day comes last."""
    cdef int64_t y = year - (month <= 2)
    cdef int64_t m = (month + 9) % 12
    return 365 * y + y // 4 - y // 100 + y // 400 + (153 * m + 2) // 5 + day - 1 - 719468
