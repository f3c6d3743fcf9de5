/* Fully-connected layer over dense rows, int8, for ARMv6-M. Equals fully_connected_s8_dense_ref.c.
 *
 * in, out, weights: as in the reference. Four rows at a time share the loads of the input; a last block of less begins
 * with the rows that are left and repeats the last one. */
#include "mp_thumb.h"
#include "rescale_s8.h"

enum { ROWS = 4 };

#if MP_THUMB1

/* The product of a column, r2 = x[r1], with the row that ends at `row`. */
#define ROW(row, sum)                                                                                                 \
    "ldrsb r3, [" row ", r1]\n"                                                                                       \
    "muls r3, r2\n"                                                                                                   \
    "add " sum ", r3\n"

/* sums[i] += row i * x. r0 end of x, r1 minus the columns left, r2 activation, r3 product, r4..r7 ends of rows, r8..r11
 * sums, r12 sums' address. 15 instructions a column. */
MP_NAKED static void dot(MP_UNUSED const int8_t *x, MP_UNUSED uint32_t cols, MP_UNUSED const int8_t *const *rows,
                         MP_UNUSED int32_t *sums)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
                   "push {r4-r7}\n"
                   "mov r12, r3\n"
                   "ldm r3!, {r4-r7}\n"
                   "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
                   "ldm r2!, {r4-r7}\n"
                   "adds r0, r1\n"
                   "adds r4, r1\n"
                   "adds r5, r1\n"
                   "adds r6, r1\n"
                   "adds r7, r1\n"
                   "rsbs r1, r1, #0\n"
                   "0: ldrsb r2, [r0, r1]\n" ROW("r4", "r8") ROW("r5", "r9") ROW("r6", "r10") ROW("r7", "r11")
                   "adds r1, #1\n"
                   "bne 0b\n"
                   "mov r0, r12\n"
                   "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
                   "stm r0!, {r4-r7}\n"
                   "pop {r4-r7}\n"
                   "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
                   "pop {r4-r7, pc}\n");
}
#else
static void dot(const int8_t *x, uint32_t cols, const int8_t *const *rows, int32_t *sums)
{
    for (uint32_t k = 0; k < cols; k++) {
        for (int i = 0; i < ROWS; i++)
            sums[i] += rows[i][k] * x[k];
    }
}
#endif

void mp_fully_connected_s8_dense_armv6m(const mp_fully_connected_s8_dense *op, const int8_t *in, int8_t *out)
{
    const mp_rescale *r = &op->rescale;
    const uint32_t rows = op->shape.rows, cols = op->shape.cols;
    for (uint32_t b = 0; b < op->shape.batches; b++, in += cols, out += rows) {
        for (uint32_t o = 0; o < rows; o += ROWS) {
            const int8_t *row[ROWS];
            int32_t sums[ROWS];
            for (uint32_t i = 0; i < ROWS; i++) {
                const uint32_t at = o + i < rows ? o + i : rows - 1;
                row[i] = op->weights.weights + at * cols;
                sums[i] = r->bias[at];
            }
            dot(in, cols, row, sums);
            for (uint32_t i = 0; i < ROWS && o + i < rows; i++)
                out[o + i] = mp_rescale_fc_s8(r, op->shape.single_rounding, o + i, sums[i]);
        }
    }
}
