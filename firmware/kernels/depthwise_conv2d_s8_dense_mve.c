/* Depthwise convolution, int8, for MVE, of windows of at most 16 taps and 4 rows. Equals
 * mp_depthwise_conv2d_s8_dense_ref bit for bit.
 *
 * Sixteen channels at a time, each with a strip: the input rows under a row of outputs, column by column,
 *
 *   strip[x * kernel_h + y % kernel_h] = input row y, column x
 *
 * so that a window is contiguous and VMLADAV makes a whole output. Going down one output row replaces stride_h rows of
 * the strips only; as rows keep their place in a column, there are kernel_h versions of the weights, turned accordingly.
 *
 * weights: (out_ch, kernel_w, kernel_h). Workspace: strips, then turned weights of 16 channels and of the turns. */
#include "rescale_mve.h"

enum {
    CHANNELS = 16,
    PITCH = 40, /* bytes of a strip; four of them lie within the reach of a load's offset */
    TAPS = 16,
    MAX_HEIGHT = 4
};

/* One row of outputs of `quads` times four channels. */
typedef struct {
    const int8_t *weights; /* TAPS a channel */
    const int8_t *strips;  /* the first window of the first channel */
    int8_t *out;
    uint32_t step, out_step; /* from one window to the next, from one output to the next */
    int32_t zp;
    const int32_t *bias, *mult;
    const int8_t *shift;
    uint32_t count, quads; /* neither is 0 */
} row_of_outputs;

#if MP_MVE

/* r0 r2 r4 r6 sums of four channels, r1 weights, r3 windows, r5 outputs, r7 step, r8 out_step, r9 zp
 * r10 r11 what leads from the end of a row to the next four channels, r12 -1, lr outputs left
 * q0..q3 weights, q4 bias, q5 mult, q6 shift, q7 windows and results
 * Stack: bias, mult, shift, count, quads.
 * Instructions: 20 for four outputs, 22 with `away`, and 23 a quad. */
#define ROW_OF_OUTPUTS(away)                    \
    "push {r4-r11, lr}\n"                       \
    "vpush {d8-d15}\n"                          \
    "sub sp, #20\n"                             \
    "add r2, r0, #24\n"                         \
    "ldm r2, {r2-r6}\n"                         \
    "stm sp, {r2-r6}\n"                         \
    "ldr r7, [r0, #12]\n"                       \
    "ldrd r8, r9, [r0, #16]\n"                  \
    "mov r10, #160\n"                           \
    "mls r10, r5, r7, r10\n"                    \
    "mov r11, #4\n"                             \
    "mls r11, r5, r8, r11\n"                    \
    "ldrd r1, r3, [r0]\n"                       \
    "ldr r5, [r0, #8]\n"                        \
    "mvn r12, #0\n"                             \
    "1: ldm sp, {r0, r2, r4, r6}\n"             \
    "vldrw.32 q4, [r0], #16\n"                  \
    "vldrw.32 q5, [r2], #16\n"                  \
    "vldrb.s32 q6, [r4], #4\n"                  \
    "stm sp, {r0, r2, r4}\n"                    \
    "dls lr, r6\n"                              \
    "vldrb.8 q0, [r1], #16\n"                   \
    "vldrb.8 q1, [r1], #16\n"                   \
    "vldrb.8 q2, [r1], #16\n"                   \
    "vldrb.8 q3, [r1], #16\n"                   \
    "2: vldrb.8 q7, [r3]\n"                     \
    "vmladav.s8 r0, q0, q7\n"                   \
    "vldrb.8 q7, [r3, #40]\n"                   \
    "vmladav.s8 r2, q1, q7\n"                   \
    "vldrb.8 q7, [r3, #80]\n"                   \
    "vmladav.s8 r4, q2, q7\n"                   \
    "vldrb.8 q7, [r3, #120]\n"                  \
    "vmladav.s8 r6, q3, q7\n"                   \
    "vmov q7[2], q7[0], r0, r4\n"               \
    "vmov q7[3], q7[1], r2, r6\n"               \
    "add r3, r7\n"                              \
    "vadd.i32 q7, q7, q4\n"                     \
    "vqrdmulh.s32 q7, q7, q5\n" away            \
    "vrshl.s32 q7, q7, q6\n"                    \
    "vadd.i32 q7, q7, r9\n"                     \
    "vqmovnb.s32 q7, q7\n"                      \
    "vqmovnb.s16 q7, q7\n"                      \
    "vstrb.32 q7, [r5]\n"                       \
    "add r5, r8\n"                              \
    "le lr, 2b\n"                               \
    "ldr r0, [sp, #16]\n"                       \
    "add r3, r10\n"                             \
    "add r5, r11\n"                             \
    "subs r0, #1\n"                             \
    "str r0, [sp, #16]\n"                       \
    "bne 1b\n"                                  \
    "add sp, #20\n"                             \
    "vpop {d8-d15}\n"                           \
    "pop {r4-r11, pc}\n"

MP_NAKED static void row_right(MP_UNUSED const row_of_outputs *a)
{
    __asm(ROW_OF_OUTPUTS("vpt.s32 lt, q7, zr\n"
                         "vaddt.i32 q7, q7, r12\n"));
}

MP_NAKED static void row_clamped(MP_UNUSED const row_of_outputs *a)
{
    __asm(ROW_OF_OUTPUTS(""));
}

#endif

/* The general case: any rounding, any range of the output, n <= 4 channels of a quad. */
MP_INLINE void quad(const row_of_outputs *a, const mp_output *to, uint32_t at, uint32_t n, mp_rounding rounding)
{
    const mp_rescale_s32x4 q = {mp_load_s32x4_part(a->bias + at, n), mp_load_s32x4_part(a->mult + at, n),
                                mp_load_s8_s32x4_part(a->shift + at, n)};
    const int8_t *w = a->weights + TAPS * at, *x = a->strips + PITCH * at;
    int8_t *out = a->out + at;
    for (uint32_t i = a->count; i > 0; i--, x += a->step, out += a->out_step) {
        int32_t sum[4];
        for (uint32_t c = 0; c < 4; c++)
            sum[c] = mp_dot_s8x16(mp_load_s8x16(w + TAPS * c), mp_load_s8x16(x + PITCH * c));
        const mp_s32x4 v = mp_make_s32x4(sum[0], sum[1], sum[2], sum[3]);
        mp_store_low_s8_part(out, mp_rescale_lanes(v, &q, to, rounding), n);
    }
}

#if !MP_MVE

static void row_right(const row_of_outputs *a)
{
    const mp_output to = {a->zp, mp_fill_s32x4(INT8_MIN), mp_fill_s32x4(INT8_MAX)};
    for (uint32_t i = 0; i < a->quads; i++)
        quad(a, &to, 4 * i, 4, MP_ROUND_RIGHT);
}

static void row_clamped(const row_of_outputs *a)
{
    const mp_output to = {a->zp, mp_fill_s32x4(INT8_MIN), mp_fill_s32x4(INT8_MAX)};
    for (uint32_t i = 0; i < a->quads; i++)
        quad(a, &to, 4 * i, 4, MP_ROUND_CLAMPED);
}

#endif

/* Channels done .. n - 1 of a row of outputs, whatever their rescaling asks for. */
static __attribute__((noinline)) void convolve_rest(const row_of_outputs *a, const mp_rescale *r, uint32_t done,
                                                    uint32_t n)
{
    const mp_output to = mp_output_of(r);
    for (; done < n; done += 4)
        quad(a, &to, done, n - done < 4 ? n - done : 4, MP_ROUND_ANY);
}

/* Places in a column that a window's first row has, as bits. */
static uint32_t places_used(const mp_conv_shape *shape)
{
    uint32_t places = 0;
    for (uint32_t oy = 0; oy < shape->out_h && oy < shape->kernel_h; oy++)
        places |= 1u << oy * shape->stride_h % shape->kernel_h;
    return places;
}

/* Weights of n channels, once for each of the places. */
static void turn_weights(const mp_conv_shape *shape, const int8_t *weights, uint32_t n, uint32_t places,
                         const uint8_t *turns, int8_t *to)
{
    const uint32_t taps = (uint32_t)shape->kernel_h * shape->kernel_w;
    for (uint32_t turn = 0; turn < shape->kernel_h; turn++, turns += TAPS, to += CHANNELS * TAPS) {
        if (!(places & 1u << turn)) continue;
        const mp_u8x16 from = mp_load_u8x16(turns);
        const int8_t *w = weights;
        int8_t *turned = to, *end = to + n * TAPS;
#pragma GCC unroll 1
        for (; turned != end; turned += TAPS, w += taps)
            mp_store_s8x16(turned, mp_gather_s8x16_part(w, from, taps));
    }
}

/* turns[t * TAPS + i]: which tap stands at place i of a window whose first row stands at place t of a column. */
static void list_turns(const mp_conv_shape *shape, uint8_t *turns)
{
    const uint32_t height = shape->kernel_h;
    for (uint32_t t = 0; t < height; t++) {
        for (uint32_t x = 0; x < shape->kernel_w; x++) {
            for (uint32_t y = 0; y < height; y++)
                turns[t * TAPS + x * height + (t + y) % height] = (uint8_t)(x * height + y);
        }
    }
}

size_t mp_depthwise_conv2d_s8_dense_mve_workspace(const mp_conv_shape *shape)
{
    (void)shape;
    return CHANNELS * PITCH + MAX_HEIGHT * TAPS * (CHANNELS + 1);
}

/* Outputs beside each other that one strip serves. */
static uint32_t outputs_of_strip(const mp_conv_shape *shape)
{
    const uint32_t most = (PITCH - TAPS) / ((uint32_t)shape->kernel_h * shape->stride_w) + 1;
    return most < shape->out_w ? most : shape->out_w;
}

/* `count` columns of n channels, `ch` apart in the input, into the strips; without an input the outside of it. */
static void fill_columns(const int8_t *in, uint32_t ch, uint32_t count, uint32_t n, int8_t pad, int8_t *to,
                         uint32_t height)
{
    const mp_u16x8 at = mp_offsets_u16x8(PITCH);
    if (in && n == CHANNELS) {
        for (; count > 0; count--, in += ch, to += height) {
            mp_scatter_low_s8(to, at, mp_load_s8_s16x8(in));
            mp_scatter_low_s8(to + 8 * PITCH, at, mp_load_s8_s16x8(in + 8));
        }
        return;
    }
    const uint32_t more = n > 8 ? n - 8 : 0;
    for (; count > 0; count--, in += in ? ch : 0, to += height) {
        mp_s16x8 v0 = mp_fill_s16x8(pad), v1 = v0;
        if (in) v0 = mp_load_s8_s16x8_part(in, n), v1 = mp_load_s8_s16x8_part(in + 8, more);
        mp_scatter_low_s8(to, at, v0);
        mp_scatter_low_s8(to + 8 * PITCH, at, v1);
    }
}

/* Output columns ox .. ox + count - 1 of n channels, all rows. a: weights, bias, mult and shift of these channels. */
static void convolve_columns(const mp_depthwise_conv2d_s8_taps16 *op, const int8_t *in, row_of_outputs *a, uint32_t ox,
                             uint32_t n, int8_t *strips)
{
    const mp_conv_shape *shape = &op->shape;
    const mp_rescale *r = &op->rescale;
    const mp_rounding rounding = mp_rounding_of(r, op->only_right);
    const int quick = rounding != MP_ROUND_ANY && r->act_min == INT8_MIN && r->act_max == INT8_MAX;
    const uint32_t done = quick ? n / 4 * 4 : 0;
    const int32_t height = shape->kernel_h, ch = shape->in_ch, in_w = shape->in_w;
    const int32_t x = (int32_t)ox * shape->stride_w - shape->pad_left;
    const int32_t x_end = x + (int32_t)(a->count - 1) * shape->stride_w + shape->kernel_w;
    const int32_t first = x < 0 ? 0 : x, end = x_end < in_w ? x_end : in_w; /* columns inside of the input */
    const uint32_t inside = first < end ? (uint32_t)(end - first) : 0;
    const int8_t *weights = a->weights;
    int8_t *to = strips + (first - x) * height;
    int32_t row = -shape->pad_top, place = 0; /* the next input row, and its place in a column */

    a->quads = done / 4;
    for (uint32_t i = 0; i < CHANNELS * PITCH; i += 16)
        mp_store_s8x16(strips + i, mp_fill_s8x16(shape->pad_value));
    for (int32_t oy = 0; oy < shape->out_h; oy++, a->out += shape->out_w * a->out_step) {
        const int32_t y = oy * shape->stride_h - shape->pad_top, skip = y > row ? y - row : 0;
        if (skip > 0) place = (place + skip) % height;
        for (row += skip; row < y + height; row++) {
            const int8_t *from = row >= 0 && row < shape->in_h ? in + (row * in_w + first) * ch : NULL;
            fill_columns(from, shape->in_ch, inside, n, shape->pad_value, to + place, shape->kernel_h);
            if (++place == height) place = 0;
        }
        a->weights = weights + (uint32_t)place * CHANNELS * TAPS; /* the place of the window's first row, again */
        if (done > 0 && rounding == MP_ROUND_CLAMPED) row_clamped(a);
        if (done > 0 && rounding == MP_ROUND_RIGHT) row_right(a);
        if (done < n) convolve_rest(a, r, done, n);
    }
    a->weights = weights;
}

void mp_depthwise_conv2d_s8_dense_mve(const mp_depthwise_conv2d_s8_taps16 *op, const int8_t *in, int8_t *out,
                                      void *workspace)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t channels = shape->out_ch, taps = (uint32_t)shape->kernel_h * shape->kernel_w;
    const uint32_t most = outputs_of_strip(shape), places = places_used(shape);
    int8_t *strips = workspace, *weights = strips + CHANNELS * PITCH;
    uint8_t *turns = (uint8_t *)weights + MAX_HEIGHT * TAPS * CHANNELS;

    list_turns(shape, turns);
    for (uint32_t c = 0; c < channels; c += CHANNELS) {
        const uint32_t n = channels - c < CHANNELS ? channels - c : CHANNELS;
        turn_weights(shape, op->weights.weights + c * taps, n, places, turns, weights);
        for (uint32_t ox = 0; ox < shape->out_w; ox += most) {
            row_of_outputs a = {.weights = weights,
                                .strips = strips,
                                .out = out + ox * channels + c,
                                .step = (uint32_t)shape->kernel_h * shape->stride_w,
                                .out_step = channels,
                                .zp = op->rescale.out_zp,
                                .bias = op->rescale.bias + c,
                                .mult = op->rescale.mult + c,
                                .shift = op->rescale.shift + c,
                                .count = shape->out_w - ox < most ? shape->out_w - ox : most};
            convolve_columns(op, in + c, &a, ox, n, strips);
        }
    }
}
