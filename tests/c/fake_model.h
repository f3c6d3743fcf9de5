/* fake_model.h: a model of three layers for the link's tests. 12 input bytes in two buffers, 5 output bytes in one. It
 * counts its calls since a reset.
 *
 *   layer 0: input + 1 + calls before (12 bytes)   layer 1: layer 0 * 2 (12 bytes)   layer 2: the first 5 bytes of layer 1, less 3
 *
 * An input that begins with 0xEE makes invoke fail after layer 0. */
#ifndef FAKE_MODEL_H
#define FAKE_MODEL_H

#include "mcuprune_model.h"

enum { FAKE_ARENA_BYTES = 64, FAKE_INPUT_BYTES = 12, FAKE_OUTPUT_BYTES = 5 };

int mp_layer_done(uint32_t layer, const void *output, uint32_t bytes);

static uint8_t fake_state[4];

static void fake_reset(void) { fake_state[0] = 0; }

static mp_status fake_init(void *arena, size_t bytes)
{
    return arena && bytes >= FAKE_ARENA_BYTES ? MP_OK : MP_BAD_ARGUMENT;
}

static mp_status fake_invoke(void *arena)
{
    uint8_t *in1 = (uint8_t *)arena + 4, *in2 = (uint8_t *)arena + 20, *layer = (uint8_t *)arena + 32;
    const int step = 1 + fake_state[0]++;
    for (int i = 0; i < 8; i++)
        layer[i] = (uint8_t)(in1[i] + step);
    for (int i = 0; i < 4; i++)
        layer[8 + i] = (uint8_t)(in2[i] + step);
    if (mp_layer_done(0, layer, 12)) return MP_STOPPED;
    if (in1[0] == 0xEE) return MP_BAD_ARGUMENT;
    for (int i = 0; i < 12; i++)
        layer[i] = (uint8_t)(layer[i] * 2);
    if (mp_layer_done(1, layer, 12)) return MP_STOPPED;
    for (int i = 0; i < 5; i++)
        layer[i + 16] = (uint8_t)(layer[i] - 3);
    if (mp_layer_done(2, layer + 16, 5)) return MP_STOPPED;
    return MP_OK;
}

static const uint8_t fake_sha256[32] = {0xAB, 1, 2, 3, [31] = 0xCD};
static const mp_buffer fake_input[] = {{.offset = 4, .bytes = 8}, {.offset = 20, .bytes = 4}};
static const mp_buffer fake_output[] = {{.offset = 48, .bytes = 5}};

static const mp_model fake_model = {
    .name = "fake",
    .sha256 = fake_sha256,
    .arena_bytes = FAKE_ARENA_BYTES,
    .layers = 3,
    .inputs = 2,
    .outputs = 1,
    .input = fake_input,
    .output = fake_output,
    .init = fake_init,
    .invoke = fake_invoke,
    .state = fake_state,
    .state_bytes = sizeof fake_state,
    .reset = fake_reset,
};

#endif
