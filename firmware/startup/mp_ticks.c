/* An emulator may have a DWT that reads 0 for ever: whether it counts is tried, not assumed. ARMv6-M and the baseline
 * of ARMv8-M (Thumb-1 cores) have no cycle counter: DDI 0419, C1.8; there it is not even touched. */
#include "mp_ticks.h"

#include "mp_cortex_m.h"

enum { TRCENA = 1 << 24, CYCCNTENA = 1, SYSTICK_ON = 7, SYSTICK_TOP = 0xFFFFFF };

static mp_counter counter;
static volatile uint32_t wraps;

void mp_systick_handler(void);

void mp_systick_handler(void)
{
    wraps++;
}

static int cycles_count(void)
{
#if __ARM_ARCH_ISA_THUMB < 2
    return 0;
#else
    MP_DEMCR |= TRCENA;
    MP_DWT_CYCCNT = 0;
    MP_DWT_CTRL |= CYCCNTENA;
    const uint32_t before = MP_DWT_CYCCNT;
    for (volatile int i = 0; i < 16; i++) {
    }
    return MP_DWT_CYCCNT != before;
#endif
}

mp_counter mp_ticks_init(void)
{
    counter = MP_COUNTER_CYCLES;
    if (!cycles_count()) {
        counter = MP_COUNTER_SYSTICK;
        MP_SYST_RVR = SYSTICK_TOP;
        MP_SYST_CVR = 0;
        MP_SYST_CSR = SYSTICK_ON;
    }
    return counter;
}

uint64_t mp_driver_ticks(void)
{
    if (counter == MP_COUNTER_CYCLES) return MP_DWT_CYCCNT; /* 32 bits: differences hold up to 2^32 cycles */
    uint32_t seen, down;
    do { /* a wrap in between shows as another count */
        seen = wraps;
        down = MP_SYST_CVR;
    } while (seen != wraps);
    return (uint64_t)seen * (SYSTICK_TOP + 1u) + (SYSTICK_TOP - down);
}
