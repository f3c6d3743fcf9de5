/* clamp_s8.h: activation ranges narrower than int8. */
#ifndef MCUPRUNE_CLAMP_S8_H
#define MCUPRUNE_CLAMP_S8_H

#include <stddef.h>
#include <stdint.h>

/* Cuts n outputs that were saturated to int8 to the activation range: saturating first changes nothing. */
void mp_clamp_range(int8_t *out, size_t n, int32_t act_min, int32_t act_max);

#endif
