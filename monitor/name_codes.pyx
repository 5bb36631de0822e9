# cython: language_level=3, boundscheck=False, wraparound=False
"""Codes of keys by their names, as `monitor.scan` joins them: looked up without making an object.

A text lies in the slot of its hash or in one of the next few (linear probing). One for which none of these is free is
not kept: what was not found is decoded, which takes longer and says the same. So crafted names cost that and no more.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from monitor cimport xxh3

cdef enum:
    PROBES = 32
    FEWEST = 1024  # slots, a power of two
    UNKNOWN = -1


cdef class NameCodes:
    """Codes, not negative, by names that are not empty. A name's code never changes."""

    def __cinit__(self):
        self.slots = NULL
        self.texts = bytearray()
        self.resize(FEWEST)

    def __dealloc__(self):
        PyMem_Free(self.slots)

    def __len__(self):
        return self.kept

    def clear(self):
        """Forget all."""
        memset(self.slots, 0, (<size_t>self.mask + 1) * sizeof(Slot))
        self.texts = bytearray()
        self.kept = 0

    def get(self, bytes names):
        """The code of these names, None where they are not kept."""
        code = self.find(<const unsigned char*>PyBytes_AS_STRING(names), PyBytes_GET_SIZE(names))
        return None if code == UNKNOWN else code

    def __setitem__(self, bytes names, int32_t code):
        cdef Slot slot
        if not names or code < 0:
            raise ValueError(f"expected names and a code that is not negative, got {names!r}: {code}")
        if self.get(names) is not None:
            return
        if 3 * self.kept > self.mask:
            self.resize(2 * (self.mask + 1))
        slot.hash = hash_of(<const unsigned char*>PyBytes_AS_STRING(names), PyBytes_GET_SIZE(names))
        slot.begin, slot.size, slot.code = len(self.texts), len(names), code
        if self.enter(slot):
            self.texts += names

    cdef int64_t find(self, const unsigned char* text, Py_ssize_t size) noexcept:
        cdef uint32_t hash = hash_of(text, size)
        cdef const char* texts = PyByteArray_AS_STRING(self.texts)
        cdef const Slot* slot
        cdef uint32_t step
        for step in range(PROBES):
            slot = &self.slots[hash + step & self.mask]
            if slot.size == 0:
                return UNKNOWN
            if slot.hash == hash and slot.size == size and memcmp(texts + slot.begin, text, size) == 0:
                return slot.code
        return UNKNOWN

    cdef bint enter(self, Slot slot) noexcept:
        cdef uint32_t step, place
        for step in range(PROBES):
            place = slot.hash + step & self.mask
            if self.slots[place].size == 0:
                self.slots[place] = slot
                self.kept += 1
                return True
        return False

    cdef int resize(self, uint32_t slots) except -1:
        cdef Slot* former = self.slots
        cdef uint32_t place, size = 0 if former == NULL else self.mask + 1
        self.slots = <Slot*>PyMem_Calloc(slots, sizeof(Slot))
        if self.slots == NULL:
            self.slots = former
            raise MemoryError
        self.mask = slots - 1
        self.kept = 0
        for place in range(size):
            if former[place].size:
                self.enter(former[place])
        PyMem_Free(former)
        return 0


cdef inline uint32_t hash_of(const unsigned char* text, Py_ssize_t size) noexcept:
    """Mixes in eight bytes at a time by a product of 128 bits of which the halves are xored, as XXH3 does."""
    cdef uint64_t word = 0, mixed = size
    cdef Py_ssize_t place
    for place in range(0, size - 8, 8):
        mixed = xxh3.folded(mixed ^ xxh3.eight(text + place), xxh3.MIX)
    if size < 8:
        memcpy(&word, text, size)
    else:
        word = xxh3.eight(text + size - 8)  # which may overlap those before
    return <uint32_t>xxh3.folded(mixed ^ word, xxh3.MIX)
