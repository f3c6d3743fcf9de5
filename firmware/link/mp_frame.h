/* mp_frame.h: frames of the link (docs/protocol.md): COBS, ended by one 0x00, with a CRC-32 at the end.
 *
 * Memory: one buffer of MP_FRAME_MAX bytes, the caller's; nothing is copied. */
#ifndef MCUPRUNE_FRAME_H
#define MCUPRUNE_FRAME_H

#include <stddef.h>
#include <stdint.h>

/* Payload bytes of a frame, either direction. 128 hold the HELLO reply with two names of 23 bytes. */
#ifndef MP_LINK_MAX_PAYLOAD
#define MP_LINK_MAX_PAYLOAD 1024
#endif

#define MP_FRAME_HEADER 8 /* kind, status, seq (2), session (4) */
#define MP_FRAME_CRC 4
#define MP_FRAME_MIN (MP_FRAME_HEADER + MP_FRAME_CRC)
#define MP_FRAME_MAX (MP_FRAME_MIN + MP_LINK_MAX_PAYLOAD)

_Static_assert(MP_LINK_MAX_PAYLOAD >= 128 && MP_LINK_MAX_PAYLOAD <= 32768, "MP_LINK_MAX_PAYLOAD is 128 to 32768");

typedef enum {
    MP_FRAME_NONE, /* not at its end */
    MP_FRAME_GOOD, /* the buffer holds a frame of `count` bytes whose CRC is right, until the next byte is pushed */
    MP_FRAME_BAD   /* wrong CRC, wrong COBS coding, too short or too long */
} mp_frame_event;

typedef struct {
    uint8_t *bytes;  /* MP_FRAME_MAX */
    uint32_t count;  /* decoded so far */
    uint8_t left;    /* bytes until the next code */
    uint8_t begun;   /* a byte has come since the last 0x00 */
    uint8_t zero;    /* a zero is due before the next block */
    uint8_t overrun; /* did not fit */
} mp_frame_decoder;

void mp_frame_begin(mp_frame_decoder *decoder, uint8_t *bytes);
mp_frame_event mp_frame_push(mp_frame_decoder *decoder, uint8_t byte);

/* Where encoded bytes go. */
typedef void (*mp_frame_sink)(const uint8_t *bytes, size_t count);

/* Appends the CRC to the `count` bytes of header and payload (4 bytes more must fit) and sends the frame. */
void mp_frame_send(uint8_t *bytes, uint32_t count, mp_frame_sink sink);

#endif
