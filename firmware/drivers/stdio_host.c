/* The host as a board: the link over stdin and stdout, time by the monotonic clock. The one file that needs POSIX. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mp_board.h"
#include "mp_driver.h"

static uint8_t tx[4096];
static size_t tx_count;
static int closed;

const mp_driver_info *mp_driver_init(void)
{
    static const mp_driver_info info = {.rx_ring = 65536, .counter = MP_COUNTER_NANOSECONDS, .counter_hz = 1000000000};
    signal(SIGPIPE, SIG_IGN); /* a peer that has gone shows as an error of write() */
    return &info;
}

static void flush(void)
{
    for (size_t at = 0; at < tx_count && !closed;) {
        const ssize_t done = write(STDOUT_FILENO, tx + at, tx_count - at);
        if (done > 0) at += (size_t)done;
        if (done < 0 && errno != EINTR) closed = 1;
    }
    tx_count = 0;
}

size_t mp_driver_read(uint8_t *bytes, size_t capacity)
{
    flush();
    while (!closed) {
        const ssize_t count = read(STDIN_FILENO, bytes, capacity);
        if (count > 0) return (size_t)count;
        if (count == 0 || errno != EINTR) closed = 1;
    }
    return 0;
}

void mp_driver_write(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tx_count == sizeof tx) flush();
        tx[tx_count++] = bytes[i];
    }
}

uint64_t mp_driver_ticks(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void mp_stack_info(uint32_t *bytes, uint32_t *used) { *bytes = *used = 0; }

#ifdef __linux__
#include <link.h>

/* The linker places the ELF header in the image; the notes are found through it. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((weak, visibility("hidden")));

size_t mp_build_note(const uint8_t **note)
{
    const uint8_t *image = (const uint8_t *)&__ehdr_start;
    if (!image) return 0;
    const ElfW(Phdr) *segment = (const ElfW(Phdr) *)(const void *)(image + __ehdr_start.e_phoff);
    for (int i = 0; i < __ehdr_start.e_phnum; i++, segment++) {
        /* .note.gnu.build-id may share its segment with other notes, or have one for itself. */
        if (segment->p_type != PT_NOTE) continue;
        size_t at = 0;
        while (at + 12 <= segment->p_filesz) {
            const uint8_t *start = image + segment->p_offset + at;
            uint32_t head[3]; /* name bytes, content bytes, type */
            memcpy(head, start, sizeof head);
            const size_t bytes = 12 + (((size_t)head[0] + 3) & ~(size_t)3) + (((size_t)head[1] + 3) & ~(size_t)3);
            if (at + bytes > segment->p_filesz) break;
            if (head[2] == NT_GNU_BUILD_ID && head[0] == 4 && memcmp(start + 12, "GNU", 4) == 0) {
                *note = start;
                return bytes;
            }
            at += bytes;
        }
    }
    return 0;
}
#else
size_t mp_build_note(const uint8_t **note)
{
    (void)note;
    return 0;
}
#endif
