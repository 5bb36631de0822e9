# XXH3 of 17 to 128 bytes, 64 bits, seed 0: that of the package xxhash, for who has no object to give it.
#
# Source: xxHash's specification (doc/xxhash_spec.md, "XXH3 Algorithm Overview", medium inputs). Ids of decisions are
# that long where they are UUIDs; an object for each would take ten times as long as its hash.

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    static const unsigned char XXH3_SECRET[128] = {
        0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
        0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
        0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
        0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
        0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
        0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
        0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
        0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    };
    #define XXH3_FACTOR 0x9E3779B185EBCA87ULL
    #define XXH3_MIX 0x165667919E3779F9ULL
    static uint64_t xxh3_folded(uint64_t one, uint64_t other) {
        unsigned __int128 product = (unsigned __int128) one * other;
        return (uint64_t) product ^ (uint64_t) (product >> 64);
    }
    """
    const unsigned char[128] SECRET "XXH3_SECRET"
    const uint64_t FACTOR "XXH3_FACTOR"
    const uint64_t MIX "XXH3_MIX"
    uint64_t folded "xxh3_folded"(uint64_t one, uint64_t other) noexcept nogil  # the halves of the product, xored

cdef enum:
    SHORTEST = 17
    LONGEST = 128


cdef inline uint64_t eight(const unsigned char* at) noexcept:
    cdef uint64_t word
    memcpy(&word, at, 8)
    return word


cdef inline uint64_t sixteen(const unsigned char* at, int secret) noexcept:
    """Sixteen bytes mixed with sixteen of the secret."""
    return folded(eight(at) ^ eight(SECRET + secret), eight(at + 8) ^ eight(SECRET + secret + 8))


cdef inline uint64_t digest(const unsigned char* text, Py_ssize_t size) noexcept:
    """The hash of so many bytes, from SHORTEST to LONGEST: of all, in pairs from both ends."""
    cdef uint64_t mixed = size * FACTOR
    cdef Py_ssize_t pair
    for pair in range((size - 1) // 32 + 1):
        mixed += sixteen(text + 16 * pair, 32 * pair) + sixteen(text + size - 16 * (pair + 1), 32 * pair + 16)
    mixed = (mixed ^ mixed >> 37) * MIX
    return mixed ^ mixed >> 32
