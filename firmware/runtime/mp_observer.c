#include "mp_observer.h"

#include <stddef.h>

#include "mp_crc32.h"

static mp_observation seen;
static int crcs_wanted;
static uint32_t last_layer;

void mp_observer_arm(int take_crcs, uint32_t stop_layer)
{
    seen.layers_run = 0;
    seen.crcs = 0;
    seen.stopped = NULL;
    seen.stopped_bytes = 0;
    crcs_wanted = take_crcs;
    last_layer = stop_layer;
}

const mp_observation *mp_observer_seen(void) { return &seen; }

int mp_layer_done(uint32_t layer, const void *output, uint32_t bytes)
{
    seen.layers_run++;
    if (crcs_wanted && seen.crcs < MP_OBSERVER_LAYERS) seen.crc[seen.crcs++] = mp_crc32(0, output, bytes);
    if (layer != last_layer) return 0;
    seen.stopped = output;
    seen.stopped_bytes = bytes;
    return 1;
}
