/* sources: link/mp_crc32.c link/mp_frame.c link/mp_link.c runtime/mp_observer.c runtime/mp_build_id.c */
#include "fake_model.h"
#include "mp_board.h"
#include "mp_bytes.h"
#include "mp_crc32.h"
#include "mp_link.h"
#include "mp_observer.h"
#include "mp_test.h"

enum { HELLO = 1, WRITE, INFER, READ, STATS, ECHO };
enum { OK = 0, BAD_FRAME, BAD_COMMAND, BAD_SESSION, BAD_RANGE, FAILED };

/* A driver in memory: what the firmware writes is decoded here. */

static uint8_t reply[MP_FRAME_MAX];
static mp_frame_decoder reply_decoder = {.bytes = reply};
static int replies;
static const uint8_t *rx;
static size_t rx_count;
static uint64_t now;

size_t mp_driver_read(uint8_t *bytes, size_t capacity)
{
    size_t count = rx_count < capacity ? rx_count : capacity;
    if (count > 0) memcpy(bytes, rx, count);
    rx += count;
    rx_count -= count;
    return count;
}

void mp_driver_write(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const mp_frame_event event = mp_frame_push(&reply_decoder, bytes[i]);
        CHECK(event != MP_FRAME_BAD);
        if (event == MP_FRAME_GOOD) replies++;
    }
}

uint64_t mp_driver_ticks(void) { return now += 0x100000001u; }

void mp_stack_info(uint32_t *bytes, uint32_t *used)
{
    *bytes = 4096;
    *used = 321;
}

static const uint8_t note[] = {4, 0, 0, 0, 20, 0, 0, 0,  3,  0,  0,  0,  'G', 'N', 'U', 0,  1,  2,
                               3, 4, 5, 6, 7,  8, 9, 10, 11, 12, 13, 14, 15,  16,  17,  18, 19, 20};
static size_t note_bytes = sizeof note;

size_t mp_build_note(const uint8_t **place)
{
    *place = note;
    return note_bytes;
}

static _Alignas(16) uint8_t arena[FAKE_ARENA_BYTES];
static const mp_driver_info driver = {.rx_ring = 512, .counter = MP_COUNTER_SYSTICK, .counter_hz = 25000000};
static uint8_t kept[sizeof fake_state];
static mp_link_config config = {
    .model = &fake_model, .arena = arena, .kept = kept, .ready = 1, .board_id = "fake-board", .driver = &driver};

static uint16_t seq;

static uint8_t sent[2 * MP_FRAME_MAX];
static size_t sent_count;

static void keep(const uint8_t *bytes, size_t count)
{
    if (count > 0) memcpy(sent + sent_count, bytes, count);
    sent_count += count;
}

static void encode(int kind, uint32_t session, const void *payload, uint32_t count)
{
    static uint8_t buffer[MP_FRAME_MAX + 16];
    uint8_t *to = mp_put32(mp_put16(mp_put8(mp_put8(buffer, (uint32_t)kind), 0), ++seq), session);
    if (count > 0) memcpy(to, payload, count);
    sent_count = 0;
    mp_frame_send(buffer, MP_FRAME_HEADER + count, keep);
}

/* Sends a command, checks that exactly one reply with this status came; returns its payload. */
static const uint8_t *ask(int kind, uint32_t session, const void *payload, uint32_t count, int status,
                          uint32_t expected)
{
    encode(kind, session, payload, count);
    const int before = replies;
    mp_link_receive(&config, sent, sent_count);
    CHECK_EQUAL(replies - before, 1, "replies to kind %d", kind);
    CHECK_EQUAL(reply[0], kind + 0x80, "kind %d", kind);
    CHECK_EQUAL(reply[1], status, "status of kind %d", kind);
    CHECK(mp_get16(reply + 2) == seq && mp_get32(reply + 4) == session);
    CHECK_EQUAL(reply_decoder.count - MP_FRAME_MIN, expected, "payload of kind %d", kind);
    return reply + MP_FRAME_HEADER;
}

enum { S = 0x1234ABCD };

static const uint8_t *infer(unsigned stop, unsigned flags, uint32_t offset, const uint8_t *bytes, uint32_t count,
                            int status, uint32_t expected)
{
    uint8_t payload[7 + 64];
    uint8_t *to = mp_put32(mp_put8(mp_put16(payload, stop), flags), offset);
    if (count > 0) memcpy(to, bytes, count);
    return ask(INFER, S, payload, 7 + count, status, expected);
}

static const uint8_t *read_region(unsigned region, uint32_t offset, unsigned length, int status)
{
    uint8_t payload[7];
    mp_put16(mp_put32(mp_put8(payload, region), offset), length);
    return ask(READ, S, payload, 7, status, status == OK ? length : 0);
}

static void start(void)
{
    config.ready = 1;
    mp_link_reset();
    ask(HELLO, S, "\1\0", 2, OK, 79 + 1 + 10 + 1 + 4);
}

static void hello_says_who_it_is(void)
{
    mp_link_reset();
    ask(STATS, 0, NULL, 0, BAD_SESSION, 0); /* no session yet, not even number 0 */
    ask(HELLO, S, NULL, 0, BAD_COMMAND, 0);
    ask(HELLO, S, "\1\0\0", 3, BAD_COMMAND, 0);
    ask(STATS, S, NULL, 0, BAD_SESSION, 0); /* a refused HELLO starts none */
    const uint8_t *p = ask(HELLO, S, "\1\0", 2, OK, 95);
    CHECK(mp_get16(p) == 1 && mp_get16(p + 2) == MP_LINK_MAX_PAYLOAD && mp_get32(p + 4) == 512);
    CHECK(memcmp(p + 8, note + 16, 20) == 0 && memcmp(p + 28, fake_sha256, 32) == 0);
    CHECK(mp_get32(p + 60) == 12 && mp_get32(p + 64) == 5 && mp_get32(p + 68) == FAKE_ARENA_BYTES);
    CHECK(mp_get16(p + 72) == 3 && p[74] == 2 && mp_get32(p + 75) == 25000000);
    CHECK(p[79] == 10 && memcmp(p + 80, "fake-board", 10) == 0 && p[90] == 4 && memcmp(p + 91, "fake", 4) == 0);
    ask(STATS, S, NULL, 0, OK, 12);
    ask(STATS, S + 1, NULL, 0, BAD_SESSION, 0);
    ask(HELLO, 7, "\2\0", 2, OK, 95); /* another session, and a host of another version gets ours */
    CHECK(mp_get16(reply + 8) == 1);
    ask(STATS, S, NULL, 0, BAD_SESSION, 0);
    ask(STATS, 7, NULL, 0, OK, 12);
}

static void build_id_without_a_note_is_zero(void)
{
    static const size_t sizes[] = {0, 15, 16, 35};
    for (size_t i = 0; i < 4; i++) {
        note_bytes = sizes[i];
        const uint8_t *p = ask(HELLO, S, "\1\0", 2, OK, 95);
        for (int k = 0; k < 20; k++)
            CHECK(p[8 + k] == 0);
    }
    note_bytes = sizeof note;
}

static void names_are_cut_to_fit(void)
{
    static char name[2000];
    mp_link_config long_names = config;
    for (size_t i = 0; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "\xC3\xA4", 2);
    long_names.board_id = name;
    const int before = replies;
    encode(HELLO, S, "\1\0", 2);
    mp_link_receive(&long_names, sent, sent_count);
    CHECK(replies == before + 1 && reply[1] == OK);
    const uint8_t *p = reply + MP_FRAME_HEADER;
    const size_t most = (MP_LINK_MAX_PAYLOAD - 79) / 2 - 1;
    CHECK_EQUAL(p[79], (most < 255 ? most : 255) / 2 * 2, "%s", "a cut between characters");
    CHECK(p[80 + p[79]] == 4);
}

static void infer_gives_outputs_and_crcs(void)
{
    static const uint8_t input[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    uint8_t layer0[12], layer1[12], output[5];
    for (int i = 0; i < 12; i++)
        layer0[i] = (uint8_t)(input[i] + 1), layer1[i] = (uint8_t)(2 * layer0[i]);
    for (int i = 0; i < 5; i++)
        output[i] = (uint8_t)(layer1[i] - 3);

    start();
    const uint8_t *p = infer(0xFFFF, 0, 0, input, 12, OK, 11 + 5);
    CHECK(mp_get32(p) == 1 && mp_get32(p + 4) == 1); /* 64-bit ticks */
    CHECK(mp_get16(p + 8) == 3 && p[10] == 1 && memcmp(p + 11, output, 5) == 0);
    CHECK(memcmp(read_region(1, 0, 5, OK), output, 5) == 0);
    CHECK(memcmp(read_region(1, 3, 2, OK), output + 3, 2) == 0);
    read_region(1, 5, 0, OK);
    read_region(1, 0, 6, BAD_RANGE);
    read_region(1, 5, 1, BAD_RANGE);
    read_region(1, 6, 0, BAD_RANGE);
    read_region(1, 0xFFFFFFFF, 5, BAD_RANGE);
    read_region(1, 0xFFFFFFFE, 0xFFFF, BAD_RANGE);
    read_region(2, 0, 1, BAD_RANGE); /* it did not stop */
    read_region(3, 0, 4, BAD_RANGE); /* no CRCs were taken */
    read_region(0, 0, 0, BAD_RANGE);
    read_region(4, 0, 0, BAD_RANGE);

    p = infer(0xFFFF, 1, 0, input, 12, OK, 11 + 5 + 12);
    CHECK(mp_get16(p + 8) == 3 && p[10] == 3 && memcmp(p + 11, output, 5) == 0);
    CHECK(mp_get32(p + 16) == mp_crc32(0, layer0, 12) && mp_get32(p + 20) == mp_crc32(0, layer1, 12));
    CHECK(mp_get32(p + 24) == mp_crc32(0, output, 5));
    p = read_region(3, 3, 6, OK);
    CHECK(p[0] == mp_crc32(0, layer0, 12) >> 24 && mp_get32(p + 1) == mp_crc32(0, layer1, 12));
    read_region(3, 8, 5, BAD_RANGE);

    p = infer(1, 1, 0, input, 12, OK, 11 + 8);
    CHECK(mp_get16(p + 8) == 2 && p[10] == 2 && mp_get32(p + 15) == mp_crc32(0, layer1, 12));
    CHECK(memcmp(read_region(2, 0, 12, OK), layer1, 12) == 0);
    read_region(2, 10, 3, BAD_RANGE);
    read_region(1, 0, 5, BAD_RANGE);       /* no output: it stopped */
    p = infer(2, 0, 0, input, 12, OK, 11); /* also after the last layer */
    CHECK(mp_get16(p + 8) == 3 && p[10] == 0);
    CHECK(memcmp(read_region(2, 0, 5, OK), output, 5) == 0);
    infer(3, 0, 0, input, 12, BAD_RANGE, 0);
    infer(0xFFFE, 0, 0, input, 12, BAD_RANGE, 0);
    infer(0xFFFF, 8, 0, input, 12, BAD_COMMAND, 0);
}

/* The first output byte for 12 zeros: 2 * (1 + calls before) - 3. */
static void expect_calls_before(unsigned flags, int calls)
{
    static const uint8_t zeros[12];
    const uint8_t *p = infer(0xFFFF, flags, 0, zeros, 12, OK, 11 + 5);
    CHECK_EQUAL(p[11], (uint8_t)(2 * (1 + calls) - 3), "flags %u", flags);
}

static void state_is_kept_where_it_is_asked_for(void)
{
    static const uint8_t zeros[12];
    enum { KEEP = 2, CALL = 4 };
    start();
    expect_calls_before(0, 0);
    expect_calls_before(0, 0); /* each starts anew */
    expect_calls_before(CALL, 0);
    expect_calls_before(KEEP, 1);
    expect_calls_before(KEEP, 1); /* the same call once more: its answer was lost */
    expect_calls_before(KEEP | CALL, 2);
    expect_calls_before(KEEP, 3);
    const uint8_t *p = infer(0, KEEP | CALL, 0, zeros, 12, OK, 11); /* stops, with the state half written */
    CHECK(mp_get16(p + 8) == 1 && read_region(2, 0, 1, OK)[0] == 1 + 4);
    expect_calls_before(KEEP | CALL, 4);
    infer(0xFFFF, KEEP, 13, zeros, 0, BAD_RANGE, 0); /* refused: no call */
    expect_calls_before(KEEP | CALL, 4);
    expect_calls_before(KEEP, 5);
    expect_calls_before(KEEP | CALL, 6);
    expect_calls_before(CALL, 0);
    expect_calls_before(KEEP | CALL, 0); /* that one again */
    expect_calls_before(KEEP, 1);
}

static void input_is_range_checked(void)
{
    uint8_t payload[4 + 64] = {0};
    static const uint8_t input[12] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 255, 254};
    start();
    memset(arena, 0x55, sizeof arena);
    for (uint32_t offset = 0; offset < 20; offset++) {
        for (uint32_t count = 0; count < 20; count++) {
            mp_put32(payload, offset);
            memset(payload + 4, 0x66, count);
            ask(WRITE, S, payload, 4 + count, offset + count <= 12 ? OK : BAD_RANGE, 0);
        }
    }
    for (int i = 0; i < FAKE_ARENA_BYTES; i++)
        CHECK(arena[i] == ((i >= 4 && i < 12) || (i >= 20 && i < 24) ? 0x66 : 0x55));
    mp_put32(payload, 0xFFFFFFFF);
    ask(WRITE, S, payload, 4, BAD_RANGE, 0);
    ask(WRITE, S, payload, 5, BAD_RANGE, 0);
    mp_put32(payload, 0xFFFFFFFC);
    ask(WRITE, S, payload, 12, BAD_RANGE, 0);
    ask(WRITE, S, payload, 3, BAD_COMMAND, 0);
    ask(WRITE, S, payload, 0, BAD_COMMAND, 0);

    for (uint32_t i = 0; i < 12; i++) { /* byte by byte, over the border of the two buffers */
        mp_put32(payload, 11 - i);
        payload[4] = input[11 - i];
        ask(WRITE, S, payload, 5, OK, 0);
    }
    infer(0xFFFF, 0, 13, input, 0, BAD_RANGE, 0);
    infer(0xFFFF, 0, 11, input, 2, BAD_RANGE, 0);
    infer(0xFFFF, 0, 0xFFFFFFFF, input, 2, BAD_RANGE, 0);
    const uint8_t *p = infer(0, 0, 12, input, 0, OK, 11);
    CHECK(mp_get16(p + 8) == 1);
    p = read_region(2, 0, 12, OK);
    for (int i = 0; i < 12; i++)
        CHECK(p[i] == (uint8_t)(input[i] + 1));
    ask(INFER, S, payload, 6, BAD_COMMAND, 0);
    ask(READ, S, payload, 6, BAD_COMMAND, 0);
    ask(READ, S, payload, 8, BAD_COMMAND, 0);
    ask(STATS, S, payload, 1, BAD_COMMAND, 0);
}

static void results_end_with_the_next_write(void)
{
    static const uint8_t input[12] = {1};
    start();
    read_region(1, 0, 0, BAD_RANGE);
    infer(0xFFFF, 1, 0, input, 12, OK, 11 + 5 + 12);
    ask(WRITE, S, "\0\0\0\0", 4, OK, 0);
    read_region(1, 0, 5, BAD_RANGE);
    read_region(3, 0, 4, BAD_RANGE);
    infer(1, 0, 0, input, 12, OK, 11);
    ask(WRITE, S, "\0\0\0\0", 4, OK, 0);
    read_region(2, 0, 1, BAD_RANGE);
}

static void failures_are_told(void)
{
    static const uint8_t bad[12] = {0xEE}, input[12] = {1};
    start();
    infer(0xFFFF, 1, 0, bad, 12, FAILED, 0);
    read_region(1, 0, 5, BAD_RANGE);
    read_region(3, 0, 4, BAD_RANGE);
    infer(2, 0, 0, bad, 12, FAILED, 0);
    infer(0, 0, 0, bad, 12, OK, 11); /* stops before it can fail */
    infer(0xFFFF, 0, 0, input, 12, OK, 16);
    config.ready = 0;
    infer(0xFFFF, 0, 0, input, 12, FAILED, 0);
    ask(WRITE, S, "\0\0\0\0x", 5, FAILED, 0);
    ask(STATS, S, NULL, 0, OK, 12);
    config.ready = 1;
}

static void stats_echo_and_the_unknown(void)
{
    static uint8_t bytes[MP_LINK_MAX_PAYLOAD];
    unsigned seed = 7;
    start();
    const uint8_t *p = ask(STATS, S, NULL, 0, OK, 12);
    CHECK(mp_get32(p) == 4096 && mp_get32(p + 4) == 321 && mp_get32(p + 8) == FAKE_ARENA_BYTES);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(mp_random(&seed) >> 24);
    for (uint32_t count = 0; count <= MP_LINK_MAX_PAYLOAD; count += 1 + count / 3) {
        CHECK(memcmp(ask(ECHO, S, bytes, count, OK, count), bytes, count) == 0);
    }
    CHECK(memcmp(ask(ECHO, S, bytes, MP_LINK_MAX_PAYLOAD, OK, MP_LINK_MAX_PAYLOAD), bytes, sizeof bytes) == 0);
    ask(0x00, S, NULL, 0, BAD_COMMAND, 0);
    ask(0x07, S, NULL, 0, BAD_COMMAND, 0);
    ask(0x7F, S, NULL, 0, BAD_COMMAND, 0);
    ask(0x7F, S + 1, NULL, 0, BAD_SESSION, 0);
    for (int kind = 0x80; kind <= 0xFF; kind++) { /* our own replies, come back through a loop-back */
        encode(kind, S, NULL, 0);
        const int before = replies;
        mp_link_receive(&config, sent, sent_count);
        CHECK(replies == before);
    }
}

static void damage_is_refused(void)
{
    start();
    encode(ECHO, S, "hello", 5);
    for (size_t i = 0; i + 1 < sent_count; i++) { /* each byte, each bit */
        for (int bit = 0; bit < 8; bit++) {
            sent[i] = (uint8_t)(sent[i] ^ 1 << bit);
            const int before = replies;
            mp_link_receive(&config, sent, sent_count);
            CHECK(replies > before); /* a byte that became 0x00 makes two frames of one */
            CHECK(reply[0] == 0xFF && reply[1] == BAD_FRAME && mp_get16(reply + 2) == 0 && mp_get32(reply + 4) == 0);
            CHECK(reply_decoder.count == MP_FRAME_MIN);
            sent[i] = (uint8_t)(sent[i] ^ 1 << bit);
        }
    }
    ask(STATS, S, NULL, 0, OK, 12); /* and the link goes on */
}

static void serve_ends_with_the_peer(void)
{
    static uint8_t stream[4 * MP_FRAME_MAX];
    size_t count = 0;
    encode(HELLO, S, "\1\0", 2);
    stream[count++] = 0x11, stream[count++] = 0; /* garbage: a NAK */
    memcpy(stream + count, sent, sent_count), count += sent_count;
    encode(STATS, S, NULL, 0);
    memcpy(stream + count, sent, sent_count), count += sent_count;
    rx = stream, rx_count = count;
    const int before = replies;
    mp_link_serve(&config);
    CHECK(replies == before + 3 && reply[0] == STATS + 0x80 && reply[1] == OK);
}

/* Random commands in a session: nothing leaves its memory. */
static void noise(void)
{
    uint8_t payload[64];
    unsigned seed = 8;
    start();
    for (int i = 0; i < 100000; i++) {
        const uint32_t count = mp_random(&seed) % 24;
        for (uint32_t k = 0; k < count; k++)
            payload[k] = (uint8_t)(mp_random(&seed) % 3 ? mp_random(&seed) % 16 : mp_random(&seed));
        encode((int)(2 + mp_random(&seed) % 6), S, payload, count);
        const int before = replies;
        mp_link_receive(&config, sent, sent_count);
        CHECK(replies == before + 1);
    }
}

int main(void)
{
    hello_says_who_it_is();
    build_id_without_a_note_is_zero();
    names_are_cut_to_fit();
    infer_gives_outputs_and_crcs();
    state_is_kept_where_it_is_asked_for();
    input_is_range_checked();
    results_end_with_the_next_write();
    failures_are_told();
    stats_echo_and_the_unknown();
    damage_is_refused();
    serve_ends_with_the_peer();
    noise();
    return 0;
}
