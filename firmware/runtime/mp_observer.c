#include "mp_observer.h"

#include <stddef.h>

#include "mcuprune_model.h"
#include "mp_crc32.h"

static mp_observation seen;
static int crcs_wanted;
static uint32_t last_layer;
static uint32_t rows_crc; /* of the rows since the last layer */

void mp_observer_arm(int take_crcs, uint32_t stop_layer)
{
    seen.layers_run = 0;
    seen.crcs = 0;
    seen.stopped = NULL;
    seen.stopped_bytes = 0;
    rows_crc = 0;
    crcs_wanted = take_crcs;
    last_layer = stop_layer;
}

const mp_observation *mp_observer_seen(void) { return &seen; }

int mp_layer_done(uint32_t layer, const void *output, uint32_t bytes)
{
    if (crcs_wanted) rows_crc = mp_crc32(rows_crc, output, bytes);
    if (layer & MP_LAYER_ROWS) return 0;
    seen.layers_run++;
    if (crcs_wanted && seen.crcs < MP_OBSERVER_LAYERS) seen.crc[seen.crcs++] = rows_crc;
    rows_crc = 0;
    if (layer != last_layer) return 0;
    seen.stopped = output;
    seen.stopped_bytes = bytes;
    return 1;
}
