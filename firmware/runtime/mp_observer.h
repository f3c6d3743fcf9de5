/* mp_observer.h: watches a model's layers through MP_LAYER_DONE: CRCs of outputs, and a stop after one layer. */
#ifndef MCUPRUNE_OBSERVER_H
#define MCUPRUNE_OBSERVER_H

#include <stdint.h>

/* Layers whose CRCs can be kept, 4 bytes of RAM each. */
#ifndef MP_OBSERVER_LAYERS
#define MP_OBSERVER_LAYERS 128
#endif

#define MP_OBSERVER_RUN_ALL 0xFFFFu

typedef struct {
    uint32_t layers_run;
    uint32_t crcs; /* how many were kept */
    uint32_t crc[MP_OBSERVER_LAYERS];
    const void *stopped; /* output of the layer that the model stopped at; NULL if it did not */
    uint32_t stopped_bytes;
} mp_observation;

/* Forgets the last inference and says what to do in the next. */
void mp_observer_arm(int take_crcs, uint32_t stop_layer);

/* What was seen since then. */
const mp_observation *mp_observer_seen(void);

/* Called by models that are compiled with MP_TRACE=1; nonzero asks to stop. Layers come in the order 0, 1, 2, ... A layer's
 * CRC is that of its rows, which come with MP_LAYER_ROWS, and of its output. */
int mp_layer_done(uint32_t layer, const void *output, uint32_t bytes);

#endif
