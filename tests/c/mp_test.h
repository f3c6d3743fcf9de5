/* mp_test.h: checks for the C tests. A failed check prints its place and ends the program with 1. */
#ifndef MP_TEST_H
#define MP_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define CHECK_EQUAL(got, expected, what, ...)                                                                          \
    do {                                                                                                               \
        const long long got_ = (long long)(got), expected_ = (long long)(expected);                                    \
        if (got_ != expected_) {                                                                                       \
            fprintf(stderr, "%s:%d: " what ": got %lld, expected %lld\n", __FILE__, __LINE__, __VA_ARGS__, got_,       \
                    expected_);                                                                                        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* xorshift32: the same numbers at every run. */
static inline unsigned mp_random(unsigned *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

#endif
