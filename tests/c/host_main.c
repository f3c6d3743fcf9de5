/* The host firmware around the fake model. */
#include "fake_model.h"
#include "mp_firmware.h"

static _Alignas(16) uint8_t arena[FAKE_ARENA_BYTES];
static uint8_t kept[sizeof fake_state];

int main(void) { return mp_firmware_main(&fake_model, arena, kept, "host \xC3\xA4"); }
