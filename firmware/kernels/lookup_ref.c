/* Rows of a table at positions that are computed. Reference: the other variants equal it bit for bit.
 *
 *   row = positions of each of `depth` sizes, the last one fastest
 *   out[b][o][i] = `run` bytes at in[b][o][row[b][i]]
 *
 * A position out of range takes the nearest one that is in it: nothing is read behind the table, whatever comes in.
 * in: (batches, outer, sizes, run); positions: (batches, count, depth); out: (batches, outer, count, run), apart from in;
 * workspace: none. */
#include <string.h>

#include "elements.h"

static uint32_t in_range(const mp_lookup *op, int64_t position, uint32_t size)
{
    if (position < 0 && op->from_end) position += size;
    return position < 0 ? 0 : position < (int64_t)size ? (uint32_t)position : size - 1;
}

static uint32_t row_at(const mp_lookup *op, const void *positions, uint32_t place)
{
    uint32_t row = 0;
    for (uint32_t d = 0; d < op->depth; d++)
        row = row * op->sizes[d] + in_range(op, mp_load_integer(op->positions, positions, place + d), op->sizes[d]);
    return row;
}

void mp_lookup_ref(const mp_lookup *op, const void *in, const void *positions, void *out)
{
    const uint32_t rows = op->sizes[0] * op->sizes[1] * op->sizes[2] * op->sizes[3];
    const uint8_t *table = in;
    uint8_t *to = out;
    for (uint32_t b = 0; b < op->batches; b++) {
        for (uint32_t o = 0; o < op->outer; o++, table += (size_t)rows * op->run) {
            for (uint32_t i = 0; i < op->count; i++, to += op->run)
                memcpy(to, table + (size_t)row_at(op, positions, (b * op->count + i) * op->depth) * op->run, op->run);
        }
    }
}
