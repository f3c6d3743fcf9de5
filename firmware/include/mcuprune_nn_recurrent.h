/* mcuprune_nn_recurrent.h: layers that keep state from call to call. Included by mcuprune_nn.h. */
#ifndef MCUPRUNE_NN_RECURRENT_H
#define MCUPRUNE_NN_RECURRENT_H

#ifndef MCUPRUNE_NN_H
#error "include mcuprune_nn.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* SVDF: features of this call and earlier ones, weighted over time. state: (filters, memory), kept from call to call. */
typedef struct {
    uint32_t inputs, filters, rank, memory; /* rank: filters of one output */
    const int8_t *features;                 /* (filters, inputs) */
    const int16_t *times;                   /* (filters, memory) */
    const int32_t *feature_bias;            /* (filters): -in_zp * sum(row) */
    const int32_t *bias;                    /* (filters / rank); NULL: none */
    int32_t feature_mult, feature_shift, mult, shift;
    int32_t out_zp;
} mp_svdf_s8;

void mp_svdf_s8_ref(const mp_svdf_s8 *op, const int8_t *in, int16_t *state, int8_t *out);

/* LSTM over the steps of a sequence. Gates lie one after the other: cell, forget, output, and input unless it is coupled
 * with forget. h: (outputs), c: (cells), kept from call to call. */
typedef struct {
    uint32_t steps, inputs, cells, outputs;
    uint32_t projects; /* 0: the hidden values are the output */
} mp_lstm_shape;

typedef struct {
    mp_lstm_shape shape;
    uint32_t coupled;
    const int8_t *in_weights, *rec_weights; /* (gates, cells, inputs), (gates, cells, outputs) */
    const int32_t *in_bias, *rec_bias;      /* (gates, cells); zero points are folded in */
    const int16_t *peephole;                /* (gates but the first, cells); NULL: none */
    const int8_t *projection;               /* (outputs, cells); NULL: none */
    const int32_t *projection_bias;
    int32_t in_mult[4], in_shift[4], rec_mult[4], rec_shift[4], cell_mult[4], cell_shift[4]; /* by gate */
    int32_t cell_bits; /* integer bits of c, 0 to 6 */
    int32_t cell_clip; /* 0: none */
    int32_t hidden_mult, hidden_shift, hidden_zp;
    int32_t projection_mult, projection_shift, projection_clip; /* clip 0: none */
    int32_t out_zp;
} mp_lstm_s8;

size_t mp_lstm_s8_ref_workspace(const mp_lstm_shape *shape);
void mp_lstm_s8_ref(const mp_lstm_s8 *op, const int8_t *in, int8_t *h, int16_t *c, int8_t *out, void *workspace);

/* An LSTM that normalizes the sums of each gate over its cells, before sigmoid and tanh. */
typedef struct {
    mp_lstm_shape shape; /* that of lstm */
    mp_lstm_s8 lstm;
    const int16_t *norm_weights; /* (gates, cells) */
    const int32_t *norm_bias;    /* (gates, cells) */
    int32_t norm_mult[4], norm_shift[4], norm_guard[4]; /* by gate; guard: stands for a variance below 1 */
} mp_lstm_norm_s8;

size_t mp_lstm_norm_s8_ref_workspace(const mp_lstm_shape *shape);
void mp_lstm_norm_s8_ref(const mp_lstm_norm_s8 *op, const int8_t *in, int8_t *h, int16_t *c, int8_t *out,
                         void *workspace);

/* LSTM on int16 activations with int8 weights; gates lie as in mp_lstm_s8, h and c: (cells), kept from call to call. */
typedef struct {
    uint32_t steps, inputs, cells;
    const int8_t *in_weights, *rec_weights;                           /* (4, cells, inputs), (4, cells, cells) */
    const int64_t *bias;                                              /* (4, cells) */
    int32_t in_mult[4], in_shift[4], rec_mult[4], rec_shift[4];       /* by gate; 16-bit multipliers */
    int32_t cell_bits, cell_clip;                                     /* integer bits of c, 0 to 6; clip 0: none */
    int32_t enter_mult, enter_shift, hidden_mult, hidden_shift;
} mp_lstm_s16s8;

void mp_lstm_s16s8_ref(const mp_lstm_s16s8 *op, const int16_t *in, int16_t *h, int16_t *c, int16_t *out);

#ifdef __cplusplus
}
#endif

#endif
