#include "mp_firmware.h"

#include "mp_link.h"

int mp_firmware_main(const mp_model *model, void *arena, void *kept, const char *board_id)
{
    const mp_link_config config = {
        .model = model,
        .arena = arena,
        .kept = kept,
        .ready = model->init(arena, model->arena_bytes) == MP_OK,
        .board_id = board_id,
        .driver = mp_driver_init(),
    };
    mp_link_serve(&config);
    return 0;
}
