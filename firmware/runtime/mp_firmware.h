/* mp_firmware.h: the firmware around a generated model. */
#ifndef MCUPRUNE_FIRMWARE_H
#define MCUPRUNE_FIRMWARE_H

#include "mcuprune_model.h"

/* Brings the board's driver and the model up and serves the link. Returns 0 once the peer has gone for good, which only
 * the host build sees. arena: model->arena_bytes, 16-byte aligned; kept: model->state_bytes; board_id: UTF-8. */
int mp_firmware_main(const mp_model *model, void *arena, void *kept, const char *board_id);

#endif
