/* mp_build_id.h: the GNU build id of the image. */
#ifndef MCUPRUNE_BUILD_ID_H
#define MCUPRUNE_BUILD_ID_H

#include <stdint.h>

#define MP_BUILD_ID_BYTES 20

/* Zeros where the linker made none. */
void mp_build_id(uint8_t id[MP_BUILD_ID_BYTES]);

#endif
