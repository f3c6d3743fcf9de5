/* Start-up of a Cortex-M: vector table, floating point and vectors on, .data and .bss, stack painted, main. Arm DDI
 * 0403, B1.5; the table serves ARMv6-M and ARMv8-M alike. */
#include <stdint.h>
#include <string.h>

#include "mp_board.h"
#include "mp_cortex_m.h"

int main(void);
void mp_reset(void);
void mp_systick_handler(void);
void mp_uart_rx_handler(void);
void mp_uart_tx_handler(void);

extern uint32_t mp_stack_bottom[], mp_stack_top[];                    /* linker script */
extern uint8_t mp_data_start[], mp_data_end[], mp_bss_start[], mp_bss_end[];
extern const uint8_t mp_data_load[], mp_build_id_start[], mp_build_id_end[];

#define PAINT 0xA5A5A5A5u

/* Nothing can be said any more: the host sees silence. A debugger finds the fault here. */
static void fault(void)
{
    for (;;) {
    }
}

typedef void (*handler)(void);

#define LAST_IRQ (MP_UART_RX_IRQ > MP_UART_TX_IRQ ? MP_UART_RX_IRQ : MP_UART_TX_IRQ)

enum { CORE_VECTORS = 16, VECTORS = CORE_VECTORS + LAST_IRQ + 1 };

static const struct {
    uint32_t *stack;
    handler entry[VECTORS - 1];
} vectors __attribute__((section(".vectors"), used)) = {
    .stack = mp_stack_top,
    .entry =
        {
            [0] = mp_reset,
            [1] = fault, /* NMI */
            [2] = fault, /* HardFault */
            [3] = fault, /* MemManage */
            [4] = fault, /* BusFault */
            [5] = fault, /* UsageFault */
            [14] = mp_systick_handler,
            [CORE_VECTORS - 1 + MP_UART_RX_IRQ] = mp_uart_rx_handler,
            [CORE_VECTORS - 1 + MP_UART_TX_IRQ] = mp_uart_tx_handler,
        },
};

/* Fills what lies below the stack pointer, so that the stack's high-water mark can be read later. */
static inline void paint_stack(void)
{
    uintptr_t pointer;
    __asm volatile("mov %0, sp" : "=r"(pointer));
    for (volatile uint32_t *word = mp_stack_bottom; (uintptr_t)word < pointer; word++) *word = PAINT;
}

/* Apart from mp_reset, so that no floating-point register is saved before it may be touched. */
__attribute__((noinline, noreturn)) static void start(void)
{
    memcpy(mp_data_start, mp_data_load, (size_t)(mp_data_end - mp_data_start));
    memset(mp_bss_start, 0, (size_t)(mp_bss_end - mp_bss_start));
    paint_stack();
    main();
    for (;;) {
    }
}

void mp_reset(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    MP_CPACR |= 0xFu << 20;
    __asm volatile("dsb\n isb" ::: "memory");
#endif
    start();
}

void mp_stack_info(uint32_t *bytes, uint32_t *used)
{
    const uint32_t *word = mp_stack_bottom;
    while (word < mp_stack_top && *word == PAINT) word++;
    *bytes = (uint32_t)((uintptr_t)mp_stack_top - (uintptr_t)mp_stack_bottom);
    *used = (uint32_t)((uintptr_t)mp_stack_top - (uintptr_t)word);
}

size_t mp_build_note(const uint8_t **note)
{
    *note = mp_build_id_start;
    return (size_t)(mp_build_id_end - mp_build_id_start);
}
