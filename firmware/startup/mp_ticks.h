/* mp_ticks.h: time on a Cortex-M: the cycle counter where it counts, else SysTick with its wraps counted. */
#ifndef MCUPRUNE_TICKS_H
#define MCUPRUNE_TICKS_H

#include "mp_driver.h"

/* Starts the counters and looks which one counts. */
mp_counter mp_ticks_init(void);

#endif
