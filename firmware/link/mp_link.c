/* The command loop. One static buffer holds the command, and then the reply to it. */
#include "mp_link.h"

#include <string.h>

#include "mp_board.h"
#include "mp_build_id.h"
#include "mp_bytes.h"
#include "mp_observer.h"

enum { HELLO = 0x01, WRITE = 0x02, INFER = 0x03, READ = 0x04, STATS = 0x05, ECHO = 0x06, REPLY = 0x80, NAK = 0xFF };
enum { OK = 0, BAD_FRAME = 1, BAD_COMMAND = 2, BAD_SESSION = 3, BAD_RANGE = 4, FAILED = 5 };
enum { TAKE_CRCS = 1, KEEP_STATE = 2, CALL = 4 }; /* flags of INFER */
enum { INLINED_OUTPUT = 1, INLINED_CRCS = 2 }; /* in its reply */
enum { REGION_OUTPUT = 1, REGION_LAYER = 2, REGION_CRCS = 3 };

static uint8_t frame[MP_FRAME_MAX];
static mp_frame_decoder decoder = {.bytes = frame};
static uint8_t *const payload = frame + MP_FRAME_HEADER;

static uint32_t session;
static int in_session;
static int output_valid; /* since the last INFER that ran to its end */
static uint8_t last_call; /* its flag CALL */

/* A command's work: reads `count` bytes of payload, writes the reply's in their place, sets *count to their number.
 * Returns a status. */
typedef uint8_t (*command)(const mp_link_config *config, uint32_t *count);

static uint32_t total_bytes(const mp_buffer *buffer, uint32_t buffers)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < buffers; i++)
        bytes += buffer[i].bytes;
    return bytes;
}

static int in_range(uint32_t offset, uint32_t count, uint32_t bytes)
{
    return offset <= bytes && count <= bytes - offset;
}

/* Walks `count` bytes from `offset` of the buffers, seen as one string; in range is the caller's word. Copies from
 * `bytes` into the arena, or where it is NULL, from the arena to `to`. */
static void copy(const mp_link_config *config, const mp_buffer *buffer, uint32_t offset, uint32_t count,
                 const uint8_t *bytes, uint8_t *to)
{
    for (; count > 0; buffer++) {
        if (offset >= buffer->bytes) {
            offset -= buffer->bytes;
            continue;
        }
        const uint32_t piece = count < buffer->bytes - offset ? count : buffer->bytes - offset;
        uint8_t *place = config->arena + buffer->offset + offset;
        if (bytes) {
            memcpy(place, bytes, piece);
            bytes += piece;
        } else {
            memcpy(to, place, piece);
            to += piece;
        }
        count -= piece;
        offset = 0;
    }
}

static uint8_t write_input(const mp_link_config *config, uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    const mp_model *model = config->model;
    if (!config->ready) return FAILED;
    if (!in_range(offset, count, total_bytes(model->input, model->inputs))) return BAD_RANGE;
    output_valid = 0;
    mp_observer_arm(0, MP_OBSERVER_RUN_ALL);
    copy(config, model->input, offset, count, bytes, NULL);
    return OK;
}

/* A length byte and the text, cut before a character that would pass `limit` or 255. */
static uint8_t *put_text(uint8_t *to, const char *text, size_t limit)
{
    size_t count = strlen(text);
    if (limit > 255) limit = 255;
    if (count > limit) {
        for (count = limit; count > 0 && ((uint8_t)text[count] & 0xC0) == 0x80;)
            count--;
    }
    to = mp_put8(to, (uint32_t)count);
    memcpy(to, text, count);
    return to + count;
}

static uint8_t hello(const mp_link_config *config, uint32_t *count)
{
    const mp_model *model = config->model;
    if (*count != 2) return BAD_COMMAND;
    session = mp_get32(frame + 4);
    in_session = 1;

    uint8_t *to = payload;
    to = mp_put16(to, MP_LINK_PROTOCOL);
    to = mp_put16(to, MP_LINK_MAX_PAYLOAD);
    to = mp_put32(to, config->driver->rx_ring);
    mp_build_id(to);
    to += MP_BUILD_ID_BYTES;
    memcpy(to, model->sha256, 32);
    to += 32;
    to = mp_put32(to, total_bytes(model->input, model->inputs));
    to = mp_put32(to, total_bytes(model->output, model->outputs));
    to = mp_put32(to, model->arena_bytes);
    to = mp_put16(to, model->layers);
    to = mp_put8(to, config->driver->counter);
    to = mp_put32(to, config->driver->counter_hz);
    const size_t left = (size_t)(payload + MP_LINK_MAX_PAYLOAD - to); /* for two names and their lengths */
    to = put_text(to, config->board_id, left / 2 - 1);
    to = put_text(to, model->name, left / 2 - 1);
    *count = (uint32_t)(to - payload);
    return OK;
}

static uint8_t write_command(const mp_link_config *config, uint32_t *count)
{
    if (*count < 4) return BAD_COMMAND;
    const uint8_t status = write_input(config, mp_get32(payload), payload + 4, *count - 4);
    *count = 0;
    return status;
}

/* CRC bytes as they go over the wire. */
static uint8_t *put_crcs(uint8_t *to, uint32_t offset, uint32_t count)
{
    const mp_observation *seen = mp_observer_seen();
    for (; count > 0; count--, offset++)
        to = mp_put8(to, seen->crc[offset / 4] >> (offset % 4 * 8) & 0xFF);
    return to;
}

/* The state that a call starts from: the first one, or with KEEP_STATE what the call before left. A call whose flag CALL
 * is that of the last one is that one again: it starts where that one did. */
static void begin_call(const mp_link_config *config, uint8_t flags)
{
    const mp_model *model = config->model;
    if (model->state_bytes == 0) return;
    if (!(flags & KEEP_STATE)) model->reset();
    if (!(flags & KEEP_STATE) || (flags & CALL) != last_call)
        memcpy(config->kept, model->state, model->state_bytes);
    else
        memcpy(model->state, config->kept, model->state_bytes);
    last_call = flags & CALL;
}

static uint8_t infer(const mp_link_config *config, uint32_t *count)
{
    enum { FIXED = 2 + 1 + 4 };
    const mp_model *model = config->model;
    if (*count < FIXED || payload[2] & ~(TAKE_CRCS | KEEP_STATE | CALL)) return BAD_COMMAND;
    const uint32_t stop_layer = mp_get16(payload);
    const uint8_t flags = payload[2];
    const int take_crcs = flags & TAKE_CRCS;
    if (stop_layer != MP_OBSERVER_RUN_ALL && stop_layer >= model->layers) return BAD_RANGE;
    const uint8_t status = write_input(config, mp_get32(payload + 3), payload + FIXED, *count - FIXED);
    if (status != OK) return status;

    begin_call(config, flags);
    mp_observer_arm(take_crcs, stop_layer);
    const uint64_t begin = mp_driver_ticks();
    const mp_status answer = model->invoke(config->arena);
    const uint64_t ticks = mp_driver_ticks() - begin;
    const mp_observation *seen = mp_observer_seen();
    const int stopped = stop_layer != MP_OBSERVER_RUN_ALL;
    if (answer != (stopped ? MP_STOPPED : MP_OK) || (take_crcs && seen->crcs != seen->layers_run)) {
        mp_observer_arm(0, MP_OBSERVER_RUN_ALL); /* nothing to READ */
        return FAILED;
    }
    output_valid = !stopped;

    const uint32_t output_bytes = total_bytes(model->output, model->outputs), crc_bytes = 4 * seen->crcs;
    uint8_t *to = mp_put16(mp_put64(payload, ticks), seen->layers_run);
    uint8_t *inlined = to++;
    uint32_t left = MP_LINK_MAX_PAYLOAD - (uint32_t)(to - payload);
    *inlined = 0;
    if (output_valid && output_bytes <= left) {
        copy(config, model->output, 0, output_bytes, NULL, to);
        to += output_bytes;
        left -= output_bytes;
        *inlined |= INLINED_OUTPUT;
    }
    if (take_crcs && crc_bytes <= left) {
        to = put_crcs(to, 0, crc_bytes);
        *inlined |= INLINED_CRCS;
    }
    *count = (uint32_t)(to - payload);
    return OK;
}

static uint8_t read_command(const mp_link_config *config, uint32_t *count)
{
    const mp_model *model = config->model;
    const mp_observation *seen = mp_observer_seen();
    if (*count != 1 + 4 + 2) return BAD_COMMAND;
    const uint8_t region = payload[0];
    const uint32_t offset = mp_get32(payload + 1), length = mp_get16(payload + 5);
    uint32_t bytes = 0; /* of the region; one that is not valid has none */
    if (region == REGION_OUTPUT && output_valid) bytes = total_bytes(model->output, model->outputs);
    if (region == REGION_LAYER) bytes = seen->stopped_bytes;
    if (region == REGION_CRCS) bytes = 4 * seen->crcs;
    if (length > MP_LINK_MAX_PAYLOAD || bytes == 0 || !in_range(offset, length, bytes)) return BAD_RANGE;

    if (region == REGION_OUTPUT) copy(config, model->output, offset, length, NULL, payload);
    if (region == REGION_LAYER) memcpy(payload, (const uint8_t *)seen->stopped + offset, length);
    if (region == REGION_CRCS) put_crcs(payload, offset, length);
    *count = length;
    return OK;
}

static uint8_t stats(const mp_link_config *config, uint32_t *count)
{
    uint32_t stack_bytes, stack_used;
    if (*count != 0) return BAD_COMMAND;
    mp_stack_info(&stack_bytes, &stack_used);
    mp_put32(mp_put32(mp_put32(payload, stack_bytes), stack_used), config->model->arena_bytes);
    *count = 12;
    return OK;
}

static uint8_t echo(const mp_link_config *config, uint32_t *count)
{
    (void)config;
    (void)count; /* the bytes lie where the reply wants them */
    return OK;
}

/* Answers the frame in the buffer; its payload has `count` bytes. */
static void answer(const mp_link_config *config, uint32_t count)
{
    static const command commands[] = {[HELLO] = hello,       [WRITE] = write_command, [INFER] = infer,
                                       [READ] = read_command, [STATS] = stats,         [ECHO] = echo};
    const uint8_t kind = frame[0];
    if (kind >= REPLY) return; /* our own voice through a loop-back: answering it would never end */

    uint8_t status = BAD_COMMAND;
    if (kind != HELLO && (!in_session || mp_get32(frame + 4) != session)) {
        status = BAD_SESSION;
    } else if (kind < sizeof commands / sizeof commands[0] && commands[kind]) {
        status = commands[kind](config, &count);
    }
    frame[0] = (uint8_t)(kind + REPLY);
    frame[1] = status; /* seq and session stay */
    mp_frame_send(frame, MP_FRAME_HEADER + (status == OK ? count : 0), mp_driver_write);
}

static void refuse(void)
{
    memset(frame, 0, MP_FRAME_HEADER);
    frame[0] = NAK;
    frame[1] = BAD_FRAME;
    mp_frame_send(frame, MP_FRAME_HEADER, mp_driver_write);
}

void mp_link_reset(void)
{
    mp_frame_begin(&decoder, frame);
    in_session = 0;
    output_valid = 0;
    mp_observer_arm(0, MP_OBSERVER_RUN_ALL);
}

void mp_link_receive(const mp_link_config *config, const uint8_t *bytes, size_t count)
{
    for (; count > 0; count--) {
        const mp_frame_event event = mp_frame_push(&decoder, *bytes++);
        if (event == MP_FRAME_GOOD) answer(config, decoder.count - MP_FRAME_MIN);
        if (event == MP_FRAME_BAD) refuse();
    }
}

void mp_link_serve(const mp_link_config *config)
{
    uint8_t bytes[64];
    mp_link_reset();
    for (size_t count; (count = mp_driver_read(bytes, sizeof bytes)) > 0;)
        mp_link_receive(config, bytes, count);
}
