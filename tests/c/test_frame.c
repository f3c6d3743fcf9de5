/* sources: link/mp_crc32.c link/mp_frame.c */
#include "mp_crc32.h"
#include "mp_frame.h"
#include "mp_test.h"
#include "vectors.h" /* from tests/link/vectors.json */

static uint8_t sent[2 * MP_FRAME_MAX];
static size_t sent_count;

static void keep(const uint8_t *bytes, size_t count)
{
    CHECK(sent_count + count <= sizeof sent);
    if (count > 0) memcpy(sent + sent_count, bytes, count);
    sent_count += count;
}

/* A buffer of exactly MP_FRAME_MAX bytes on the heap: a byte too far is found. */
static uint8_t *new_buffer(void)
{
    uint8_t *buffer = malloc(MP_FRAME_MAX);
    CHECK(buffer);
    return buffer;
}

static void crc_vectors(void)
{
    for (size_t i = 0; i < VECTOR_COUNT(crc_vector); i++) {
        const crc_case *v = &crc_vector[i];
        CHECK_EQUAL(mp_crc32(0, v->bytes, v->count), v->crc, "crc %zu", i);
        for (size_t cut = 0; cut <= v->count; cut++) { /* in two pieces */
            CHECK(mp_crc32(mp_crc32(0, v->bytes, cut), v->bytes + cut, v->count - cut) == v->crc);
        }
    }
}

/* The frame encoder adds a CRC, so plain COBS vectors can be decoded only. */
static void cobs_vectors_decode(void)
{
    uint8_t *buffer = new_buffer();
    for (size_t i = 0; i < VECTOR_COUNT(cobs_vector); i++) {
        const cobs_case *v = &cobs_vector[i];
        mp_frame_decoder decoder;
        mp_frame_begin(&decoder, buffer);
        for (size_t k = 0; k < v->encoded_count; k++)
            CHECK(mp_frame_push(&decoder, v->encoded[k]) == MP_FRAME_NONE);
        CHECK_EQUAL(decoder.left, 0, "cobs %zu", i);
        CHECK_EQUAL(decoder.count, v->decoded_count, "cobs %zu", i);
        CHECK(memcmp(buffer, v->decoded, v->decoded_count) == 0);
    }
    free(buffer);
}

static void frames_encode(void)
{
    uint8_t *buffer = new_buffer();
    for (size_t i = 0; i < VECTOR_COUNT(frame_vector); i++) {
        const frame_case *v = &frame_vector[i];
        memcpy(buffer, v->decoded, v->decoded_count);
        sent_count = 0;
        mp_frame_send(buffer, (uint32_t)v->decoded_count, keep);
        CHECK_EQUAL(sent_count, v->wire_count, "frame '%s'", v->name);
        CHECK(memcmp(sent, v->wire, sent_count) == 0);
    }
    free(buffer);
}

static void frames_decode(void)
{
    uint8_t *buffer = new_buffer();
    mp_frame_decoder decoder;
    mp_frame_begin(&decoder, buffer);
    for (size_t i = 0; i < VECTOR_COUNT(frame_vector); i++) {
        const frame_case *v = &frame_vector[i];
        mp_frame_event event = MP_FRAME_NONE;
        for (size_t k = 0; k < v->wire_count; k++) {
            CHECK(event == MP_FRAME_NONE);
            event = mp_frame_push(&decoder, v->wire[k]);
        }
        CHECK_EQUAL(event, MP_FRAME_GOOD, "frame '%s'", v->name);
        CHECK_EQUAL(decoder.count, v->decoded_count + MP_FRAME_CRC, "frame '%s'", v->name);
        CHECK(memcmp(buffer, v->decoded, v->decoded_count) == 0);
    }
    free(buffer);
}

static void streams_decode(void)
{
    uint8_t *buffer = new_buffer();
    for (size_t i = 0; i < VECTOR_COUNT(stream_vector); i++) {
        const stream_case *v = &stream_vector[i];
        size_t events = 0;
        mp_frame_decoder decoder;
        mp_frame_begin(&decoder, buffer);
        for (size_t k = 0; k < v->wire_count; k++) {
            const mp_frame_event event = mp_frame_push(&decoder, v->wire[k]);
            if (event == MP_FRAME_NONE) continue;
            CHECK(events < v->frame_count);
            const stream_frame *expected = &v->frame[events++];
            CHECK_EQUAL(event, expected->bytes ? MP_FRAME_GOOD : MP_FRAME_BAD, "stream '%s'", v->name);
            if (event == MP_FRAME_BAD) continue;
            CHECK_EQUAL(decoder.count, expected->count, "stream '%s'", v->name);
            CHECK(memcmp(buffer, expected->bytes, expected->count) == 0);
        }
        CHECK_EQUAL(events, v->frame_count, "stream '%s'", v->name);
    }
    free(buffer);
}

/* Every payload length, and zeros at changing places: what is sent comes back. */
static void round_trips(void)
{
    uint8_t *buffer = new_buffer(), *back = new_buffer();
    unsigned seed = 5;
    mp_frame_decoder decoder;
    mp_frame_begin(&decoder, back);
    for (uint32_t count = MP_FRAME_HEADER; count <= MP_FRAME_MAX - MP_FRAME_CRC; count++) {
        const unsigned zeros = 1u << (count % 12);
        for (uint32_t i = 0; i < count; i++)
            buffer[i] = (uint8_t)(mp_random(&seed) % zeros ? 1 + mp_random(&seed) % 255 : 0);
        sent_count = 0;
        mp_frame_send(buffer, count, keep);
        for (size_t k = 0; k + 1 < sent_count; k++) {
            CHECK(sent[k] != 0);
            CHECK(mp_frame_push(&decoder, sent[k]) == MP_FRAME_NONE);
        }
        CHECK(sent[sent_count - 1] == 0);
        CHECK_EQUAL(mp_frame_push(&decoder, 0), MP_FRAME_GOOD, "%u bytes", count);
        CHECK_EQUAL(decoder.count, count + MP_FRAME_CRC, "%u bytes", count);
        CHECK(memcmp(buffer, back, count) == 0);
    }
    free(buffer);
    free(back);
}

/* Noise never leaves the buffer, and never passes the CRC. */
static void noise(void)
{
    uint8_t *buffer = new_buffer();
    unsigned seed = 6;
    mp_frame_decoder decoder;
    mp_frame_begin(&decoder, buffer);
    for (int i = 0; i < 2000000; i++) {
        const unsigned r = mp_random(&seed);
        CHECK(mp_frame_push(&decoder, r % 700 ? (uint8_t)(r >> 16) : 0) != MP_FRAME_GOOD);
    }
    free(buffer);
}

int main(void)
{
    crc_vectors();
    cobs_vectors_decode();
    frames_encode();
    frames_decode();
    streams_decode();
    round_trips();
    noise();
    return 0;
}
