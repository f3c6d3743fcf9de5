/* CMSDK APB UART: bytes come in by interrupt into a ring, and go out polled. Arm DDI 0479, 4.3. */
#include "mp_cortex_m.h"
#include "mp_driver.h"
#include "mp_ticks.h"

#define DATA MP_REGISTER(MP_UART_BASE + 0x00u)
#define STATE MP_REGISTER(MP_UART_BASE + 0x04u)   /* 0 transmit buffer full, 1 receive buffer full */
#define CTRL MP_REGISTER(MP_UART_BASE + 0x08u)    /* 0 transmit, 1 receive, 2, 3 their interrupts */
#define INTCLEAR MP_REGISTER(MP_UART_BASE + 0x0Cu) /* 0 transmit, 1 receive, 2, 3 their overruns */
#define BAUDDIV MP_REGISTER(MP_UART_BASE + 0x10u) /* clocks a bit, 16 at least */

enum { TX_FULL = 1, RX_FULL = 2, TX_ON = 1, RX_ON = 2, RX_IRQ_ON = 8, RX_IRQ = 2 };
enum { RING = 4096 }; /* a power of two: the counters below run through */

static volatile uint8_t ring[RING];
static volatile uint32_t head, tail; /* bytes put in, bytes taken out */

void mp_uart_rx_handler(void);

void mp_uart_rx_handler(void)
{
    INTCLEAR = RX_IRQ;
    while (STATE & RX_FULL) {
        const uint8_t byte = (uint8_t)DATA;
        if (head - tail < RING) ring[head++ % RING] = byte; /* a full ring drops: the frame's CRC tells */
    }
}

const mp_driver_info *mp_driver_init(void)
{
    static mp_driver_info info = {.rx_ring = RING, .counter_hz = MP_CLOCK_HZ};
    const uint32_t divider = MP_CLOCK_HZ / MP_UART_BAUD;
    info.counter = mp_ticks_init();
    BAUDDIV = divider < 16u ? 16u : divider;
    INTCLEAR = 0xFu;
    CTRL = TX_ON | RX_ON | RX_IRQ_ON;
    mp_enable_irq(MP_UART_RX_IRQ);
    return &info;
}

size_t mp_driver_read(uint8_t *bytes, size_t capacity)
{
    while (head == tail) {
        mp_mask_interrupts(); /* a byte that comes after the look still ends the sleep */
        if (head == tail) mp_wait_for_interrupt();
        mp_unmask_interrupts();
    }
    size_t count = 0;
    while (count < capacity && head != tail) bytes[count++] = ring[tail++ % RING];
    return count;
}

void mp_driver_write(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        while (STATE & TX_FULL) {
        }
        DATA = bytes[i];
    }
}
