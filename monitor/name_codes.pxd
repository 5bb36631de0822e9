# What monitor.scan asks of name_codes.pyx.

from libc.stdint cimport int32_t, int64_t, uint32_t

cdef struct Slot:
    uint32_t hash
    uint32_t begin
    int32_t size  # 0: empty
    int32_t code

cdef class NameCodes:
    cdef Slot* slots
    cdef uint32_t mask
    cdef int kept
    cdef bytearray texts

    cdef int64_t find(self, const unsigned char* text, Py_ssize_t size) noexcept
    cdef bint enter(self, Slot slot) noexcept
    cdef int resize(self, uint32_t slots) except -1
