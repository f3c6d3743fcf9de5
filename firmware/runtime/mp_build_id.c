#include "mp_build_id.h"

#include <string.h>

#include "mp_board.h"

/* A note is three words (name bytes 4, content bytes, type 3 = NT_GNU_BUILD_ID), "GNU\0", then the id. */
void mp_build_id(uint8_t id[MP_BUILD_ID_BYTES])
{
    enum { HEAD = 16, NT_BUILD_ID = 3 };
    const uint8_t *note = NULL;
    const size_t bytes = mp_build_note(&note);
    uint32_t head[3];

    memset(id, 0, MP_BUILD_ID_BYTES);
    if (bytes < HEAD) return;
    memcpy(head, note, sizeof head);
    if (head[0] != 4 || head[2] != NT_BUILD_ID || head[1] > bytes - HEAD) return;
    memcpy(id, note + HEAD, head[1] < MP_BUILD_ID_BYTES ? head[1] : MP_BUILD_ID_BYTES);
}
