# The types of seen_loops.py, for the compiler.

cimport cython
from libc.stdint cimport int64_t, uint16_t, uint64_t

@cython.locals(last=Py_ssize_t, row=Py_ssize_t, slot=Py_ssize_t, one=uint64_t)
cpdef void enter(
    const uint64_t[::1] ids, unsigned char[::1] fresh, uint64_t[::1] held, uint16_t[::1] block,
    int shift, uint16_t current, uint16_t oldest
)

@cython.locals(last=Py_ssize_t, index=Py_ssize_t, gap=Py_ssize_t, at=Py_ssize_t)
cpdef void expire(
    const int64_t[::1] slots, uint64_t[::1] held, uint16_t[::1] block, int shift, uint16_t oldest
)
