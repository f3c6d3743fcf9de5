#include "mp_frame.h"

#include "mp_bytes.h"
#include "mp_crc32.h"

void mp_frame_begin(mp_frame_decoder *decoder, uint8_t *bytes) { *decoder = (mp_frame_decoder){.bytes = bytes}; }

static void append(mp_frame_decoder *decoder, uint8_t byte)
{
    if (decoder->count < MP_FRAME_MAX) {
        decoder->bytes[decoder->count++] = byte;
    } else {
        decoder->overrun = 1;
    }
}

/* What a 0x00 makes of the bytes since the last one. */
static mp_frame_event judge(const mp_frame_decoder *decoder)
{
    if (!decoder->begun) return MP_FRAME_NONE;
    if (decoder->left > 0 || decoder->overrun || decoder->count < MP_FRAME_MIN) return MP_FRAME_BAD;
    const uint32_t body = decoder->count - MP_FRAME_CRC;
    return mp_crc32(0, decoder->bytes, body) == mp_get32(decoder->bytes + body) ? MP_FRAME_GOOD : MP_FRAME_BAD;
}

mp_frame_event mp_frame_push(mp_frame_decoder *decoder, uint8_t byte)
{
    if (byte == 0) {
        const mp_frame_event event = judge(decoder);
        decoder->begun = 0;
        return event;
    }
    if (!decoder->begun) {
        mp_frame_begin(decoder, decoder->bytes);
        decoder->begun = 1;
    }
    if (decoder->left > 0) {
        append(decoder, byte);
        decoder->left--;
        return MP_FRAME_NONE;
    }
    if (decoder->zero) append(decoder, 0); /* the zero that ended the block before */
    decoder->zero = byte != 0xFF;
    decoder->left = (uint8_t)(byte - 1);
    return MP_FRAME_NONE;
}

/* A block is a code n and the n - 1 bytes before the next zero; code 0xFF has 254 bytes and no zero after them. */
void mp_frame_send(uint8_t *bytes, uint32_t count, mp_frame_sink sink)
{
    static const uint8_t end = 0;
    mp_put32(bytes + count, mp_crc32(0, bytes, count));
    count += MP_FRAME_CRC;

    for (uint32_t at = 0, more = 1; more;) {
        uint8_t run = 0;
        while (run < 254 && at + run < count && bytes[at + run] != 0)
            run++;
        const uint8_t code = (uint8_t)(run + 1);
        sink(&code, 1);
        sink(bytes + at, run);
        at += run;
        more = at < count;
        if (run < 254) at++; /* the zero */
    }
    sink(&end, 1);
}
