/* mp_count.c: a QEMU TCG plugin that counts executed instructions per address between marks.
 *
 * Options, numbers in any base that C knows:
 *   out=FILE      where the counts go
 *   base=ADDRESS  first address that is counted
 *   bytes=N       how many bytes from there; what runs elsewhere is not counted
 *   begin=ADDRESS when the instruction there runs, counting starts anew
 *   mark=ADDRESS  when the instruction there runs, a phase ends
 *
 * Output, one item a line, all of a phase on its way to the file before the board goes on:
 *   B                  the instruction at `begin` ran
 *   P                  the one at `mark` ran; what was counted since the last B or P follows
 *   <address> <count>  hexadecimal, decimal; addresses ascend, counts are not 0
 *
 * Code is translated in blocks, some of it more than once: counters belong to addresses, not to blocks.
 *
 * MP_PLUGIN_API 1: QEMU 5 to 8, a counter is a plain integer. 2: QEMU 9 and later, counters lie in a scoreboard, one row
 * a processor. The declarations are those of QEMU's include/qemu/qemu-plugin.h, so no header of QEMU is needed. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef MP_PLUGIN_API
#define MP_PLUGIN_API 1
#endif
#define PUBLIC __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*qemu_plugin_vcpu_udata_cb_t)(unsigned int vcpu_index, void *userdata);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_tb_trans_cb_t cb);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t idx);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, qemu_plugin_vcpu_udata_cb_t cb,
                                            enum qemu_plugin_cb_flags flags, void *userdata);

PUBLIC int qemu_plugin_version = MP_PLUGIN_API;

#define NOWHERE UINT64_MAX

static FILE *out;
static uint64_t base, size, begin = NOWHERE, mark = NOWHERE; /* size: counters, one a halfword */

#if MP_PLUGIN_API == 1
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, enum qemu_plugin_op op, void *ptr,
                                                uint64_t imm);
static uint64_t *counters;

static int make_counters(void)
{
    counters = calloc(size, sizeof *counters);
    return counters != NULL;
}

static uint64_t *counters_of(unsigned cpu)
{
    (void)cpu; /* all processors add to the same */
    return counters;
}

static void count(struct qemu_plugin_insn *insn, uint64_t index)
{
    qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &counters[index], 1);
}
#else
struct qemu_plugin_scoreboard;
typedef struct {
    struct qemu_plugin_scoreboard *score;
    size_t offset;
} qemu_plugin_u64;

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score, unsigned int vcpu_index);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn *insn, enum qemu_plugin_op op,
                                                         qemu_plugin_u64 entry, uint64_t imm);
static struct qemu_plugin_scoreboard *counters;

static int make_counters(void)
{
    counters = qemu_plugin_scoreboard_new(size * sizeof(uint64_t));
    return counters != NULL;
}

static uint64_t *counters_of(unsigned cpu) { return qemu_plugin_scoreboard_find(counters, cpu); }

static void count(struct qemu_plugin_insn *insn, uint64_t index)
{
    const qemu_plugin_u64 entry = {counters, index * sizeof(uint64_t)};
    qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64, entry, 1);
}
#endif

static void on_begin(unsigned cpu, void *user)
{
    (void)user;
    memset(counters_of(cpu), 0, size * sizeof(uint64_t));
    fputs("B\n", out);
}

static void on_mark(unsigned cpu, void *user)
{
    uint64_t *counter = counters_of(cpu);
    (void)user;
    fputs("P\n", out);
    for (uint64_t i = 0; i < size; i++) {
        if (counter[i] > 0) fprintf(out, "%" PRIx64 " %" PRIu64 "\n", base + 2 * i, counter[i]);
        counter[i] = 0;
    }
    fflush(out); /* the board may be powered down at any time */
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint64_t address = qemu_plugin_insn_vaddr(insn), index = (address - base) / 2;
        if (address == begin) qemu_plugin_register_vcpu_insn_exec_cb(insn, on_begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
        if (address == mark) qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_NO_REGS, NULL);
        if (address >= base && index < size) count(insn, index); /* last: it belongs to what begins */
    }
}

/* The text behind `name` in an option, or NULL. */
static const char *option(const char *text, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(text, name, length) == 0 ? text + length : NULL;
}

PUBLIC int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    const char *path = NULL, *value;
    (void)info;
    for (int i = 0; i < argc; i++) {
        if ((value = option(argv[i], "out="))) path = value;
        if ((value = option(argv[i], "base="))) base = strtoull(value, NULL, 0);
        if ((value = option(argv[i], "bytes="))) size = (strtoull(value, NULL, 0) + 1) / 2;
        if ((value = option(argv[i], "begin="))) begin = strtoull(value, NULL, 0);
        if ((value = option(argv[i], "mark="))) mark = strtoull(value, NULL, 0);
    }
    if (!path || size == 0 || !make_counters()) {
        fputs("mp_count: out=FILE and bytes=N are needed, and memory\n", stderr);
        return -1;
    }
    out = fopen(path, "w");
    if (!out) {
        perror(path);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
