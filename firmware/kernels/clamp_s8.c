/* Activation ranges: see clamp_s8.h. */
#include "clamp_s8.h"

#include "mp_numerics.h"

void mp_clamp_range(int8_t *out, size_t n, int32_t act_min, int32_t act_max)
{
    if (act_min <= INT8_MIN && act_max >= INT8_MAX) return;
    for (const int8_t *end = out + n; out != end; out++)
        *out = (int8_t)mp_clamp(*out, act_min, act_max);
}
