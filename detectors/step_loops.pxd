# The types of step_loops.py, for the compiler.

cimport cython
from libc cimport math

cdef double _NAN
cdef double _INFINITY
cdef double _LOWEST
cdef double _HIGHEST
cdef double _MOST_ROUNDINGS
cdef double _AGREE

@cython.locals(index=Py_ssize_t, z=double, up=double, down=double)
cpdef tuple cusum(
    const double[::1] values, double[::1] statistics, double[::1] thresholds,
    double target, double sigma, double slack, double threshold, bint rises, bint falls,
    double rise, double lowest_rise, double fall, double lowest_fall, long long n
)

@cython.locals(index=Py_ssize_t, x=double, up=double, down=double)
cpdef tuple page_hinkley(
    const double[::1] values, double[::1] statistics, double[::1] thresholds,
    double slack, double threshold, double forgetting, long long warm_up, bint rises, bint falls,
    long long n, double mean, double rise, double lowest, double fall, double highest
)

@cython.locals(index=Py_ssize_t, deviation=double)
cpdef tuple ddm(
    const double[::1] values, double[::1] statistics, double[::1] thresholds,
    long long warm_up, double deviations,
    long long n, double rate, double least_rate, double least_deviation
)

@cython.locals(
    index=Py_ssize_t, distance="long long", before=double, variance=double, value=double
)
cpdef tuple eddm(
    const double[::1] values, double[::1] statistics, double[::1] thresholds,
    long long warm_up, double share,
    long long n, long long last, long long errors, double mean, double squares, double largest, double level
)

@cython.locals(index=Py_ssize_t, bound=double, statistic=double, threshold=double, other=double, limit=double)
cpdef tuple hddm_a(
    const double[::1] values, double[::1] statistics, double[::1] thresholds,
    double log_cut, double log_test, bint rises, bint falls,
    long long n, double mean,
    long long rise_n, double rise_mean, double least, long long fall_n, double fall_mean, double most
)

@cython.locals(before=double, before_square=double, bound=double, since=double, since_square=double)
cdef (double, double, double, double, double) moved(
    (double, double, double, double, double) side,
    double x, double mean, double square, double root, double weight, double own_square, double kept_square
)

@cython.locals(
    index=Py_ssize_t, x=double, own_square=double, root=double,
    before=double, before_square=double, since=double, since_square=double,
    statistic=double, threshold=double, other=double, limit=double
)
cpdef tuple hddm_w(
    const double[::1] values, double[::1] statistics, double[::1] thresholds,
    double weight, double kept_square, double log, bint rises, bint falls,
    double mean, double square,
    (double, double, double, double, double) rise, (double, double, double, double, double) fall
)

cdef int power_of_two(double exponent)

@cython.locals(
    count=Py_ssize_t, moved=bint, largest=double, index=Py_ssize_t, bet=Py_ssize_t, exponent=double, x=double,
    mixture=double, each=double, one=double, joined=double
)
cpdef void e_detector(
    const double[::1] values, double[::1] mixtures, double[::1] powers,
    const double[::1] bets, bint sums, double[::1] carried
)

@cython.locals(
    rest=double, hit=double, scaled=double, index=Py_ssize_t, x=double, hits=double, misses=double,
    drift=double, step=double, spread=double, whole=double, short=double, raised=int
)
cpdef tuple confidence_sequence(
    const double[::1] values, double[::1] found, double[::1] powers,
    bint falls, double a, double b, double share, double edge, long long period,
    long long n, double total, double value, double error, double power
)

@cython.locals(terms="long long", found=double, before=double)
cpdef double upper_tail(double a, double b, double share)

@cython.locals(
    rest=double, size=double, short=double, beyond=double, index="long long", j=double, over=double, term=double
)
cdef double tail_fraction(double a, double b, double share, long long terms)
