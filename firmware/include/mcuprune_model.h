/* mcuprune_model.h: what a generated model tells about itself, and how a runtime may watch its layers.
 *
 * A generated model NAME has
 *   NAME_ARENA_BYTES                          all activations and workspaces; the caller owns the memory, 16-byte aligned
 *   mp_status NAME_init(void *arena, size_t bytes)  checks size and alignment
 *   NAME_input(arena), NAME_output(arena)     where input and output lie; the input is overwritten by NAME_invoke
 *   mp_status NAME_invoke(void *arena)        one inference; without state, several arenas may be in use
 *   void NAME_reset(void)                     of models that keep state from call to call: its first value; in NAME_init, too
 *   extern const mp_model NAME_model          the same as data, for generic runtimes
 */
#ifndef MCUPRUNE_MODEL_H
#define MCUPRUNE_MODEL_H

#include "mcuprune_nn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t offset; /* in the arena, bytes */
    uint32_t bytes;
} mp_buffer;

typedef struct {
    const char *name;
    const uint8_t *sha256; /* of the model file, 32 bytes */
    uint32_t arena_bytes;
    uint16_t layers;
    uint16_t inputs, outputs;
    const mp_buffer *input;
    const mp_buffer *output;
    mp_status (*init)(void *arena, size_t bytes);
    mp_status (*invoke)(void *arena);
    void *state; /* kept from call to call; NULL where nothing is */
    uint32_t state_bytes;
    void (*reset)(void);
} mp_model;

/* With MP_TRACE=1 a model reports each layer's output before the next layer runs; a nonzero answer stops the inference
 * with MP_STOPPED and leaves that output in place. Without it the macro costs nothing.
 *
 * Of layers that run by turns, some rows at a time, each call is reported with the rows it made that nobody keeps (the
 * second layer's output stays: 0 bytes). The first one is then done with 0 bytes: its rows were its output. */
#define MP_LAYER_ROWS 0x8000u /* with the layer's number: some rows of it */
#if defined(MP_TRACE) && MP_TRACE
int mp_layer_done(uint32_t layer, const void *output, uint32_t bytes);
#define MP_LAYER_DONE(layer, output, bytes)                                                                            \
    do {                                                                                                               \
        if (mp_layer_done((layer), (output), (bytes))) return MP_STOPPED;                                              \
    } while (0)
#define MP_LAYER_PART(layer, output, bytes) ((void)mp_layer_done((layer) | MP_LAYER_ROWS, (output), (bytes)))
#else
#define MP_LAYER_DONE(layer, output, bytes) ((void)0)
#define MP_LAYER_PART(layer, output, bytes) ((void)0)
#endif

#ifdef __cplusplus
}
#endif

#endif
