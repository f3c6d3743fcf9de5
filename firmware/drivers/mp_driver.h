/* mp_driver.h: what a board's serial port and clock are to the link. One driver is linked into a firmware. */
#ifndef MCUPRUNE_DRIVER_H
#define MCUPRUNE_DRIVER_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    MP_COUNTER_NONE = 0,
    MP_COUNTER_CYCLES = 1, /* DWT CYCCNT */
    MP_COUNTER_SYSTICK = 2,
    MP_COUNTER_NANOSECONDS = 3
} mp_counter;

typedef struct {
    uint32_t rx_ring; /* bytes that can wait to be read */
    mp_counter counter;
    uint32_t counter_hz; /* 0 where nothing counts */
} mp_driver_info;

/* Brings port and clock up. The counter is told after a look at whether it counts. */
const mp_driver_info *mp_driver_init(void);

/* Waits until a byte is there; returns how many it took, at most capacity. 0: the peer has gone for good. */
size_t mp_driver_read(uint8_t *bytes, size_t capacity);

/* Returns when the bytes are taken; they are on their way at the latest when mp_driver_read waits. */
void mp_driver_write(const uint8_t *bytes, size_t count);

/* Ticks of the counter since some moment; 0 where nothing counts. */
uint64_t mp_driver_ticks(void);

#endif
